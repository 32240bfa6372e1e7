//! Which section each function is in, and where.
//!
//! Programs whose probes give the same section name share one section. Both loaders accept
//! that: they tell programs apart by their symbols. Two sections of one name would not do:
//! `.BTF.ext` names sections, so libbpf would give both programs' lines to the first of them.
//! Subprograms are all in one `.text`; with a second one aya-obj 0.3 may call the wrong one.

use super::code::{Code, SLOT};
use crate::bpf::{self, Reloc};
use crate::ir;
use lang::attach::{Point, Target};
use lang::hir;
use lang::probes::ProbeKind;
use std::collections::HashMap;

/// The sections that hold code.
pub struct Layout {
    /// In the order of their first function; `.text` is last.
    pub texts: Vec<Text>,
}

/// A section that holds code.
pub struct Text {
    /// Its name.
    pub name: String,
    /// One behind the other, without gaps.
    pub functions: Vec<Placed>,
}

/// A function in its section.
pub struct Placed {
    /// Which one.
    pub function: ir::Func,
    /// Byte offset in the section.
    pub offset: u32,
    /// Its bytes.
    pub code: Code,
}

impl Layout {
    /// Places the functions of a module; `codes` are their bytes, in the same order.
    pub fn new(module: &bpf::Module, codes: Vec<Code>, program: &hir::Program) -> Self {
        let mut layout = Layout { texts: Vec::new() };
        let mut subprograms = Text { name: ".text".to_owned(), functions: Vec::new() };
        for (idx, (function, code)) in module.functions.iter().zip(codes).enumerate() {
            let text = match function.probe {
                Some(probe) => layout.text(section_name(&program.probes[probe].points)),
                None => &mut subprograms,
            };
            let offset = text.size();
            text.functions.push(Placed { function: ir::Func(idx as u32), offset, code });
        }
        if !subprograms.functions.is_empty() {
            layout.texts.push(subprograms);
        }
        layout.fill_in_addresses();
        layout
    }

    /// Puts subprograms' offsets in `.text` into the instructions that load their addresses.
    fn fill_in_addresses(&mut self) {
        let offsets: HashMap<ir::Func, u32> = self.functions().map(|it| (it.function, it.offset)).collect();
        for placed in self.texts.iter_mut().flat_map(|it| &mut it.functions) {
            for &(slot, name) in &placed.code.names {
                let Reloc::Func(function) = name else { continue };
                if placed.code.is_wide(slot) {
                    let immediate = (slot * SLOT + 4) as usize;
                    placed.code.bytes[immediate..][..4].copy_from_slice(&offsets[&function].to_le_bytes());
                }
            }
        }
    }

    /// Every function, section by section.
    pub fn functions(&self) -> impl Iterator<Item = &Placed> {
        self.texts.iter().flat_map(|it| &it.functions)
    }

    fn text(&mut self, name: String) -> &mut Text {
        let idx = self.texts.iter().position(|it| it.name == name).unwrap_or_else(|| {
            self.texts.push(Text { name, functions: Vec::new() });
            self.texts.len() - 1
        });
        &mut self.texts[idx]
    }
}

impl Text {
    /// Bytes of all its functions.
    pub fn size(&self) -> u32 {
        self.functions.last().map_or(0, |it| it.offset + it.code.bytes.len() as u32)
    }
}

/// The section name by which loaders know the program type, with the target where there is one.
/// A program of several targets names none, except where the kernel checks it against one at
/// load: there it names the first.
fn section_name(points: &[Point]) -> String {
    let Some(first) = points.first() else { return "raw_tp".to_owned() };
    let prefix = match first.kind {
        // Run by the program test-run that raw tracepoint programs have.
        ProbeKind::Begin | ProbeKind::End | ProbeKind::SelfSignal => "raw_tp",
        ProbeKind::Tracepoint => "tracepoint",
        ProbeKind::RawTracepoint => "tp_btf",
        ProbeKind::Kprobe => "kprobe",
        ProbeKind::Kretprobe => "kretprobe",
        ProbeKind::Fentry => "fentry",
        ProbeKind::Fexit => "fexit",
        ProbeKind::Uprobe | ProbeKind::Usdt => "uprobe",
        ProbeKind::Uretprobe => "uretprobe",
        ProbeKind::Interval
        | ProbeKind::Profile
        | ProbeKind::Software
        | ProbeKind::Hardware
        | ProbeKind::Watchpoint => "perf_event",
        ProbeKind::Xdp => "xdp",
    };
    let checked_at_load =
        matches!(first.kind, ProbeKind::RawTracepoint | ProbeKind::Fentry | ProbeKind::Fexit);
    match target_name(&first.target).filter(|_| points.len() == 1 || checked_at_load) {
        Some(target) => format!("{prefix}/{target}"),
        None => prefix.to_owned(),
    }
}

fn target_name(target: &Target) -> Option<String> {
    let plus = |offset: u64| if offset == 0 { String::new() } else { format!("+{offset}") };
    let name = match target {
        Target::Tracepoint { category, event } => format!("{category}/{event}"),
        Target::Function { name, offset, .. } => format!("{name}{}", plus(*offset)),
        Target::User { path, symbol, offset } if !symbol.is_empty() => {
            format!("{path}:{symbol}{}", plus(*offset))
        }
        Target::None
        | Target::Usdt { .. }
        | Target::Address(_)
        | Target::User { .. }
        | Target::Timer(_)
        | Target::Counter { .. }
        | Target::Memory { .. }
        | Target::Signal
        | Target::Interface { .. } => return None,
    };
    (!name.contains(['*', '?', '['])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lang::attach::{Timer, XdpMode};

    fn tracepoint(event: &str) -> Target {
        Target::Tracepoint { category: "syscalls".to_owned(), event: event.to_owned() }
    }

    fn kernel(name: &str, offset: u64) -> Target {
        Target::Function { module: Some("veth".to_owned()), name: name.to_owned(), offset }
    }

    #[test]
    fn sections_are_named_as_libbpf_names_them() {
        let user =
            |symbol: &str| Target::User { path: "/bin/sh".to_owned(), symbol: symbol.to_owned(), offset: 4 };
        let interface = Target::Interface { name: "veth0".to_owned(), mode: XdpMode::Auto };
        let cases = [
            (ProbeKind::Begin, vec![Target::None], "raw_tp"),
            (
                ProbeKind::Tracepoint,
                vec![tracepoint("sys_enter_openat")],
                "tracepoint/syscalls/sys_enter_openat",
            ),
            (ProbeKind::Tracepoint, vec![tracepoint("a"), tracepoint("b")], "tracepoint"),
            (ProbeKind::Tracepoint, vec![tracepoint("sys_enter_*")], "tracepoint"),
            (ProbeKind::RawTracepoint, vec![kernel("sched_switch", 0)], "tp_btf/sched_switch"),
            (ProbeKind::Kprobe, vec![kernel("veth_open", 8)], "kprobe/veth_open+8"),
            (ProbeKind::Kprobe, vec![Target::Address(0xffff_ffff_8100_0000)], "kprobe"),
            (ProbeKind::Kretprobe, vec![kernel("a", 0), kernel("b", 0)], "kretprobe"),
            (ProbeKind::Fentry, vec![kernel("a", 0), kernel("b", 0)], "fentry/a"),
            (ProbeKind::Fexit, vec![kernel("a", 0)], "fexit/a"),
            (ProbeKind::Uprobe, vec![user("main")], "uprobe//bin/sh:main+4"),
            (ProbeKind::Uretprobe, vec![user("")], "uretprobe"),
            (ProbeKind::Profile, vec![Target::Timer(Timer::Hertz(99))], "perf_event"),
            (ProbeKind::Xdp, vec![interface], "xdp"),
        ];
        for (kind, targets, expected) in cases {
            let points: Vec<Point> = targets.into_iter().map(|target| Point { kind, target }).collect();
            assert_eq!(section_name(&points), expected);
        }
    }
}
