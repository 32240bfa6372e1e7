//! Attach points of every kind, and what is said of wrong ones.

use super::*;
use crate::source::FileId;

fn parse_text(text: &str) -> Result<Point, Diagnostic> {
    let params = ["tcp_*".to_owned(), "/tmp/a:b".to_owned()];
    // A place behind the start of the file shows that spans are moved along.
    parse(text, Span::new(FileId(3), 100, 100 + text.len()), &params)
}

#[track_caller]
fn check(text: &str, kind: ProbeKind, target: Target) {
    assert_eq!(parse_text(text), Ok(Point { kind, target }), "{text}");
}

#[track_caller]
fn function(text: &str, kind: ProbeKind, module: Option<&str>, name: &str, offset: u64) {
    check(text, kind, Target::Function { module: module.map(str::to_owned), name: name.to_owned(), offset });
}

#[track_caller]
fn user(text: &str, path: &str, symbol: &str, offset: u64) {
    check(text, ProbeKind::Uprobe, Target::User { path: path.to_owned(), symbol: symbol.to_owned(), offset });
}

#[test]
fn kernel_targets() {
    use ProbeKind::{Begin, End, Fentry, Fexit, Kprobe, Kretprobe, RawTracepoint, Tracepoint};
    check("begin", Begin, Target::None);
    check("BEGIN", Begin, Target::None);
    check("End", End, Target::None);
    for text in ["tracepoint:sched:sched_*", "t:sched:sched_*", "T:\"sched\":sched_\"*\""] {
        check(text, Tracepoint, Target::Tracepoint { category: "sched".into(), event: "sched_*".into() });
    }
    function("rt:sched_switch", RawTracepoint, None, "sched_switch", 0);
    function("rawtracepoint:mod:event", RawTracepoint, Some("mod"), "event", 0);
    function("kprobe:vfs_read", Kprobe, None, "vfs_read", 0);
    function("KPROBE:vfs_read+0x10", Kprobe, None, "vfs_read", 16);
    function("k:mod-x:f.constprop.0+4", Kprobe, Some("mod-x"), "f.constprop.0", 4);
    function("k:$1", Kprobe, None, "tcp_*", 0);
    function("k:\"$1\"_x", Kprobe, None, "tcp_*_x", 0);
    function("kr:*", Kretprobe, None, "*", 0);
    function("kfunc:vmlinux:vfs_read", Fentry, Some("vmlinux"), "vfs_read", 0);
    function("fr:vfs_read", Fexit, None, "vfs_read", 0);
    check("kprobe:0xffffffff81000000", Kprobe, Target::Address(0xffff_ffff_8100_0000));
}

#[test]
fn user_targets() {
    user("uprobe:/bin/bash:readline", "/bin/bash", "readline", 0);
    user("u:libc:\"operator+(int, char:x)\"+4", "libc", "operator+(int, char:x)", 4);
    user("u:$2:main.f+0x10", "/tmp/a:b", "main.f", 16);
    user("u:/usr/lib/*:*", "/usr/lib/*", "*", 0);
    user("u:/bin/bash:0x1234", "/bin/bash", "", 0x1234);
    check(
        "ur:libc:malloc",
        ProbeKind::Uretprobe,
        Target::User { path: "libc".into(), symbol: "malloc".into(), offset: 0 },
    );
}

#[test]
fn static_probes() {
    for (text, path, provider, name) in [
        ("usdt:/bin/x:p", "/bin/x", "*", "p"),
        ("U:/bin/x:mine:p*", "/bin/x", "mine", "p*"),
        ("USDT:libc:*:setjmp", "libc", "*", "setjmp"),
    ] {
        let (path, provider, name) = (path.into(), provider.into(), name.into());
        check(text, ProbeKind::Usdt, Target::Usdt { path, provider, name, location: None });
    }
}

#[test]
fn timers_and_interfaces() {
    for (text, timer) in [
        ("interval:s:1", Timer::Period(1, Unit::Seconds)),
        ("interval:ms:10", Timer::Period(10, Unit::Milliseconds)),
        ("interval:us:100", Timer::Period(100, Unit::Microseconds)),
        ("i:hz:5", Timer::Hertz(5)),
        ("interval:1s", Timer::Period(1_000_000, Unit::Microseconds)),
        ("interval:10ms", Timer::Period(10_000, Unit::Microseconds)),
    ] {
        check(text, ProbeKind::Interval, Target::Timer(timer));
    }
    check("profile:hz:99", ProbeKind::Profile, Target::Timer(Timer::Hertz(99)));
    for (text, mode) in
        [("xdp:eth0", XdpMode::Auto), ("xdp:eth0:native", XdpMode::Native), ("XDP:eth0:skb", XdpMode::Skb)]
    {
        check(text, ProbeKind::Xdp, Target::Interface { name: "eth0".into(), mode });
    }
}

#[test]
fn events_and_memory() {
    use ProbeKind::{Hardware, SelfSignal, Software, Watchpoint};
    let counter = |name: &str, count| Target::Counter { name: name.into(), count };
    check("software:page-faults", Software, counter("page-faults", None));
    check("s:cs:10", Software, counter("cs", Some(10)));
    check("hardware:cycles:1e6", Hardware, counter("cycles", Some(1_000_000)));
    for (mode, access) in [("w", Access::Write), ("wr", Access::ReadWrite), ("rw", Access::ReadWrite)] {
        let target = Target::Memory { address: 0x1000, length: 4, access };
        check(&format!("w:0x1000:4:{mode}"), Watchpoint, target);
    }
    let code = Target::Memory { address: 0x1003, length: 8, access: Access::Execute };
    check("watchpoint:0x1003:8:x", Watchpoint, code);
    check("self:signal:SIGUSR1", SelfSignal, Target::Signal);
}

#[test]
fn wrong_attach_points() {
    for (text, part, message) in [
        ("krpobe:f", "krpobe", "unknown probe type `krpobe`\ndid you mean `kprobe`?"),
        ("hello", "hello", "unknown probe type `hello`"),
        (":f", "", "probe type is missing"),
        ("U:/bin/x", "U:/bin/x", "attach point is incomplete\nwrite `usdt:PATH:[PROVIDER:]NAME`"),
        (
            "s:page-falts",
            "page-falts",
            "there is no software event `page-falts`\ndid you mean `page-faults`?",
        ),
        ("h:cycles:0", "0", "the count must be at least 1\nwrite `hardware:EVENT[:COUNT]`"),
        ("h:cycles:1ms", "1ms", "`1ms` is a time, not a number\nwrite `hardware:EVENT[:COUNT]`"),
        ("w:0x1000:8:r", "r", "a watchpoint has no mode `r`\nthe modes are `w`, `rw` and `x`"),
        ("w:0x1000:3:w", "3", "a watchpoint has 1, 2, 4 or 8 bytes\nwrite `watchpoint:ADDRESS:LENGTH:MODE`"),
        (
            "w:0x1001:4:w",
            "0x1001",
            "the address is not a multiple of 4\nwrite `watchpoint:ADDRESS:LENGTH:MODE`",
        ),
        ("self:signal:SIGTERM", "SIGTERM", "`SIGTERM` cannot be waited for\nwrite `self:signal:SIGUSR1`"),
        ("it:task", "it", "iter probes are not supported yet"),
        ("a=kprobe:f", "a=", "names for probes are not supported yet"),
        ("begin:x", ":x", "attach point is too long\nwrite `begin`"),
        ("kprobe", "kprobe", "attach point is incomplete\nwrite `kprobe:[MODULE:]FUNCTION[+OFFSET]`"),
        ("t:sched", "t:sched", "attach point is incomplete\nwrite `tracepoint:CATEGORY:EVENT`"),
        ("t:a:b:c:d", ":c:d", "attach point is too long\nwrite `tracepoint:CATEGORY:EVENT`"),
        ("t::b", "", "part of the attach point is empty\nwrite `tracepoint:CATEGORY:EVENT`"),
        (
            "k:f(x)",
            "f(x)",
            "`f(x)` is not a name the kernel could have\nwrite `kprobe:[MODULE:]FUNCTION[+OFFSET]`",
        ),
        ("kr:f+4", "+4", "a kretprobe cannot have an offset"),
        ("fentry:f+4", "+4", "a fentry cannot have an offset"),
        ("k:f*+4", "+4", "an offset needs one function, not a pattern"),
        (
            "k:m:0x10",
            "0x10",
            "an address stands alone and only in a kprobe\nwrite `kprobe:[MODULE:]FUNCTION[+OFFSET]`",
        ),
        ("fentry:bpf:12:prog", "bpf", "tracing eBPF programs is not supported yet"),
        ("u:/bin/x@a.c:12", "@a.c", "source line probes are not supported yet"),
        ("u:x:cpp:f", "cpp", "symbols of a language (`cpp`) are not supported yet\ngive the mangled name"),
        ("u:/bin/x", "u:/bin/x", "attach point is incomplete\nwrite `uprobe:PATH:FUNCTION[+OFFSET]`"),
        ("u:\"/bin/x:f", "\"/bin/x:f", "quote in the attach point is not closed"),
        ("interval:5", "5", "`5` has no unit\nwrite `interval:s:1`"),
        ("interval:s:0", "0", "a timer needs at least 1\nwrite `interval:s:1`"),
        ("interval:s:x", "x", "`x` has no digits\nwrite `interval:s:1`"),
        ("profile:mz:9", "mz", "unknown unit `mz`\nunits are `hz`, `s`, `ms` and `us`"),
        ("interval:s:18446744073709551615", "18446744073709551615", "period is too long"),
        ("interval:5ns", "5ns", "period is shorter than a microsecond"),
        (
            "xdp:a_very_long_interface",
            "a_very_long_interface",
            "`a_very_long_interface` cannot be an interface",
        ),
        ("xdp:eth0:fast", "fast", "unknown way to attach `fast`\nwrite `native`, `skb` or nothing"),
        (
            "kprobe:$3",
            "$3",
            "part of the attach point is empty\nwrite `kprobe:[MODULE:]FUNCTION[+OFFSET]`\nparameter `$3` is empty because it was not given",
        ),
    ] {
        let error = parse_text(text).expect_err(text);
        let mut said = vec![error.message.clone()];
        said.extend(error.hints.clone());
        assert_eq!(said.join("\n"), message, "{text}");
        let (start, end) = (error.span.start as usize - 100, error.span.end as usize - 100);
        assert_eq!((&text[start..end], error.span.file), (part, FileId(3)), "{text}");
    }
}

#[test]
fn any_text_gets_an_answer() {
    for text in [
        "",
        ":",
        "::",
        "\"",
        "\"\"",
        "$",
        "$1",
        "é:é",
        "k:\"é",
        "u:+:+",
        "u:a:+4",
        "k:f+18446744073709551616",
    ] {
        let _ = parse_text(text);
    }
    for piece in ["a", ":", "\"", "$1", "+1", "k:f", "*"] {
        let _ = parse_text(&piece.repeat(100_000));
        let _ = parse_text(&format!("u:a:{}", piece.repeat(100_000)));
    }
}

#[test]
fn patterns() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("*", "", true),
        ("**", "abc", true),
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*a", "a", false),
        ("a*b*c", "a_b_b_c", true),
        ("a*b*c", "a_c_b", false),
        ("*b*", "abc", true),
        ("sys_enter_*", "sys_enter_read", true),
        ("*_read", "vfs_read_x", false),
        ("*ab*ab*", "ab", false),
        ("*ab*ab*", "abab", true),
    ] {
        assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
    }
    assert!(!glob(&"*a".repeat(20_000), &"a".repeat(19_999)));
}
