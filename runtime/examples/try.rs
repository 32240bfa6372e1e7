//! Scratch.
use codegen::manifest::*;
use codegen::{Manifest, Object, Target};
use lang::attach::{Point, Target as T, Timer, XdpMode};
use lang::probes::ProbeKind as K;
use runtime::backend::{Backend, Constants};
use runtime::linux::LinuxBackend;
use std::time::{Duration, Instant};
fn f(k: K, n: &str) -> Point {
    Point { kind: k, target: T::Function { module: None, name: n.into(), offset: 0 } }
}
fn main() {
    if std::env::var("SYM").is_ok() {
        use runtime::symbols::Symbols;
        let mut s = runtime::linux::LinuxSymbols::new();
        let a = |i: usize| {
            u64::from_str_radix(std::env::args().nth(i).unwrap().trim_start_matches("0x"), 16).unwrap()
        };
        let t = Instant::now();
        println!("{:?} {:?}", s.kernel(a(1)), t.elapsed());
        let t = Instant::now();
        println!("{:?} {:?}", s.kernel(a(1) + 4), t.elapsed());
        let pid = std::env::args().nth(2).unwrap().parse().unwrap();
        let t = Instant::now();
        println!("{:?} {:?}", s.user(pid, a(3)), t.elapsed());
        println!("{:?}", s.build_id(pid, a(3)));
        return;
    }

    let t0 = Instant::now();
    let mut programs = vec![];
    let mut run = vec![];
    for arg in std::env::args().skip(1) {
        let (sym, pts) = match arg.split_once('=') {
            Some((a, b)) => (a.to_owned(), b),
            None => continue,
        };
        let points: Vec<Point> = pts
            .split(',')
            .map(|p| {
                let v: Vec<&str> = p.split(':').collect();
                match v[0] {
                    "e" => Point { kind: K::End, target: T::None },
                    "b" => Point { kind: K::Begin, target: T::None },
                    "t" => Point {
                        kind: K::Tracepoint,
                        target: T::Tracepoint { category: v[1].into(), event: v[2].into() },
                    },
                    "i" => Point {
                        kind: K::Interval,
                        target: T::Timer(Timer::Period(v[1].parse::<u64>().unwrap() * 1_000_000)),
                    },
                    "p" => Point { kind: K::Profile, target: T::Timer(Timer::Hertz(v[1].parse().unwrap())) },
                    "k" => f(K::Kprobe, v[1]),
                    "kr" => f(K::Kretprobe, v[1]),
                    "f" => f(K::Fentry, v[1]),
                    "rt" => f(K::RawTracepoint, v[1]),
                    "u" => Point {
                        kind: K::Uprobe,
                        target: T::User { path: v[1].into(), symbol: v[2].into(), offset: 0 },
                    },
                    "ur" => Point {
                        kind: K::Uretprobe,
                        target: T::User { path: v[1].into(), symbol: v[2].into(), offset: 0 },
                    },
                    "x" => Point {
                        kind: K::Xdp,
                        target: T::Interface { name: v[1].into(), mode: XdpMode::Auto },
                    },
                    _ => panic!(),
                }
            })
            .collect();
        if points[0].kind == K::Begin {
            run.push(programs.len());
        }
        programs.push(Program { symbol: sym, points, span: Default::default(), lines: vec![] });
    }
    use lang::hir::{Action, ActionKind, Conversion, Format, Map, MapKind, Piece, Width};
    let fmt = |i: usize| Format {
        pieces: vec![
            Piece::Text(format!("action {i}: ")),
            Piece::Conversion(Conversion {
                left: false,
                plus: false,
                space: false,
                alternate: false,
                zero: false,
                width: Width::None,
                precision: None,
                length: 8,
                letter: "d".into(),
            }),
            Piece::Text("\n".into()),
        ],
    };
    let mut actions: Vec<Action> = (0..9)
        .map(|i| Action {
            kind: ActionKind::Printf(fmt(i)),
            args: vec![lang::ty::Ty::U64],
            span: Default::default(),
        })
        .collect();
    actions.push(Action { kind: ActionKind::Exit, args: vec![lang::ty::Ty::U64], span: Default::default() });
    let maps = vec![MapEntry {
        map: Map {
            name: "@".into(),
            key: Some(lang::ty::Ty::U64),
            value: lang::ty::Ty::Agg(lang::ty::Agg::Count),
            kind: MapKind::Hash,
            max_entries: 1024,
            span: Default::default(),
        },
        storage: Storage::Keyed { map: "counts".into(), per_cpu: true },
        full: None,
    }];
    let manifest = Manifest {
        version: VERSION,
        target: Target::portable(),
        programs,
        maps,
        actions,
        types: Default::default(),
        config: Default::default(),
        sources: lang::source::Sources::single("x.bt", "hello"),
        globals: Globals {
            ring: Some("ring".into()),
            lost: Some(8),
            bss_size: 16,
            cpid: Some(0),
            start: Some(8),
        },
    };
    let object = Object { elf: std::fs::read(std::env::args().nth(1).unwrap()).unwrap(), manifest };
    if let Ok(opts) = std::env::var("SESSION") {
        let mut o = runtime::session::Options {
            command: std::env::var("CMD").ok(),
            pid: std::env::var("P").ok().map(|p| p.parse().unwrap()),
            ..Default::default()
        };
        o.verbose = opts.contains('v');
        let d = runtime::dispatch::Dispatcher::new(
            object.manifest.clone(),
            runtime::output::Output::new(
                runtime::output::Format::Text,
                Box::new(std::io::stdout()),
                Box::new(std::io::stderr()),
            ),
            Box::new(runtime::linux::LinuxSymbols::new()),
            Box::new(runtime::linux::SystemClock::new()),
        );
        match runtime::session::run(&object, &o, LinuxBackend::new(), d) {
            Ok(code) => std::process::exit(code.into()),
            Err(e) => {
                eprintln!("ERROR: {e}\nhint: {:?}", e.hint);
                std::process::exit(2)
            }
        }
    }
    let mut b = LinuxBackend::new();
    let t1 = Instant::now();
    if let Err(e) = b.load(
        &object,
        Constants { cpid: 42, start: runtime::linux::clock::nanoseconds(libc::CLOCK_BOOTTIME) as u64 },
    ) {
        eprintln!("ERROR {e}\n{:?}", e.hint);
        if let Some(r) = &e.refusal {
            for l in r.excerpt() {
                eprintln!("   {l}");
            }
            eprintln!("{}", r.log);
        }
        std::process::exit(2);
    }
    let t2 = Instant::now();
    for p in run {
        b.run(p).unwrap();
    }
    let plans = b.plan(&object).unwrap();
    for p in &plans {
        eprintln!("{p:?}");
        if let Err(e) = b.attach(p) {
            eprintln!("ERROR {e}\n  hint {:?}", e.hint);
        }
    }
    let t3 = Instant::now();
    eprintln!("load {:?} attach {:?} total {:?}", t2 - t1, t3 - t2, t3 - t0);
    std::thread::sleep(Duration::from_millis(600));
    let t4 = Instant::now();
    b.detach();
    let t5 = Instant::now();
    let mut n = [0u64; 16];
    let mut first = vec![];
    b.drain(&mut |r| {
        n[r[0] as usize] += 1;
        if first.len() < 6 {
            first.push(r.iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
    })
    .unwrap();
    eprintln!("records {n:?} {first:?}");
    eprintln!("bss {:?}", b.read_bss(0, 16).unwrap());
    let mut e = b.entries("counts").unwrap();
    e.sort();
    eprintln!("counts {} {:?}", e.len(), e.first());
    eprintln!("plain {} ", b.entries("plain").unwrap().len());
    eprintln!("detach {:?}", t5 - t4);
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    eprintln!(
        "{}",
        s.lines().filter(|l| l.contains("Rss") || l.starts_with("VmRSS")).collect::<Vec<_>>().join(" ")
    );
    let t6 = Instant::now();
    drop(b);
    eprintln!("drop {:?}", t6.elapsed());
}
