//! Names for addresses, by blazesym.
//!
//! Comes in: kernel addresses, and addresses in processes. Goes out: names, and lines where debug
//! information has them. Nothing is read before the first address is asked for.
//!
//! A process is known by its memory map, which is kept: so addresses of a process that has ended
//! meanwhile still have names, if it was met or [`Symbols::remember`]ed before.

use crate::symbols::{Symbol, Symbols};
use blazesym::MaybeDefault;
use blazesym::helper::read_elf_build_id;
use blazesym::symbolize::source::{Elf, Kernel, Source};
use blazesym::symbolize::{Input, Sym, Symbolizer};
use lang::hir::{Config, SymbolCache};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Resolves addresses of the running system.
#[derive(Default)]
pub struct LinuxSymbols {
    settings: Settings,
    symbolizer: Option<Symbolizer>,
    processes: HashMap<u32, Vec<Area>>,
    known: HashMap<(u32, u64), Option<Symbol>>,
}

/// What the script wants of symbols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settings {
    /// Whether source lines and inlined functions are looked up as well.
    debug_info: bool,
    /// Whether names of C++ and Rust stay as linkers see them.
    mangled: bool,
    /// Whether every address is looked up anew.
    forgetful: bool,
}

/// A part of a process's memory that holds a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Area {
    start: u64,
    end: u64,
    /// Of `start` in the file.
    offset: u64,
    path: PathBuf,
}

/// Stands for the kernel among process ids.
const KERNEL: u32 = 0;

impl LinuxSymbols {
    /// Knows nothing yet.
    pub fn new(config: &Config) -> Self {
        let mut symbols = Self::default();
        symbols.configure(config);
        symbols
    }

    /// Goes by these settings for what is asked from now on.
    pub fn configure(&mut self, config: &Config) {
        let settings = Settings {
            debug_info: config.show_debug_info,
            mangled: !config.cpp_demangle,
            forgetful: config.cache_user_symbols == SymbolCache::None,
        };
        if self.settings != settings {
            let processes = std::mem::take(&mut self.processes);
            *self = LinuxSymbols { processes, settings, ..Self::default() };
        }
    }

    fn resolve(&mut self, source: &Source<'_>, input: Input<u64>) -> Option<Symbol> {
        // Kernel addresses are looked up in kallsyms only, which has no lines anyway.
        let symbolizer = self.symbolizer.get_or_insert_with(|| {
            Symbolizer::builder()
                .enable_code_info(self.settings.debug_info)
                .enable_inlined_fns(self.settings.debug_info)
                .enable_demangling(!self.settings.mangled)
                .build()
        });
        let found = symbolizer.symbolize_single(source, input).ok()?;
        found.as_sym().map(symbol)
    }

    /// Looks a process's files up again, unless it has ended.
    fn forget(&mut self, pid: u32) {
        self.symbolizer = None;
        self.remember(pid);
    }

    fn find_area(&mut self, pid: u32, address: u64) -> Option<Area> {
        let find = |areas: &Vec<Area>| areas.iter().find(|it| (it.start..it.end).contains(&address)).cloned();
        let kept = self.processes.get(&pid).and_then(find);
        if kept.is_some() {
            return kept;
        }
        // The process is new, or has loaded a library since.
        self.remember(pid);
        self.processes.get(&pid).and_then(find)
    }
}

impl Symbols for LinuxSymbols {
    fn kernel(&mut self, address: u64) -> Option<Symbol> {
        if let Some(known) = self.known.get(&(KERNEL, address)) {
            return known.clone();
        }
        let kernel = Kernel { vmlinux: MaybeDefault::None, debug_syms: false, ..Kernel::default() };
        let symbol = self.resolve(&Source::Kernel(kernel), Input::AbsAddr(address));
        self.known.insert((KERNEL, address), symbol.clone());
        symbol
    }

    fn user(&mut self, pid: u32, address: u64) -> Option<Symbol> {
        match self.known.get(&(pid, address)) {
            _ if self.settings.forgetful => self.forget(pid),
            Some(Some(known)) => return Some(known.clone()),
            _ => {}
        }
        let area = self.find_area(pid, address)?;
        let offset = address - area.start + area.offset;
        let elf = Elf::new(visible(pid, &area.path));
        let source = Source::Elf(Elf { debug_syms: self.settings.debug_info, ..elf });
        let mut symbol = self.resolve(&source, Input::FileOffset(offset))?;
        symbol.module = Some(area.path.to_string_lossy().into_owned());
        self.known.insert((pid, address), Some(symbol.clone()));
        Some(symbol)
    }

    fn build_id(&mut self, pid: u32, address: u64) -> Option<(String, u64)> {
        let area = self.find_area(pid, address)?;
        let build_id = read_elf_build_id(&visible(pid, &area.path)).ok()??;
        let hexadecimal = build_id.iter().map(|byte| format!("{byte:02x}")).collect();
        Some((hexadecimal, address - area.start + area.offset))
    }

    fn remember(&mut self, pid: u32) {
        let areas = fs::read_to_string(format!("/proc/{pid}/maps")).map(|text| parse_maps(&text));
        // The map of a process that is ending is empty; what was known before is better.
        if let Ok(areas) = areas
            && !areas.is_empty()
        {
            self.processes.insert(pid, areas);
        }
    }
}

/// A file of a process where we can open it: the process may see other mounts.
fn visible(pid: u32, path: &Path) -> PathBuf {
    let seen = PathBuf::from(format!("/proc/{pid}/root")).join(path.strip_prefix("/").unwrap_or(path));
    if !path.exists() && seen.exists() { seen } else { path.to_owned() }
}

fn symbol(found: &Sym<'_>) -> Symbol {
    let place = found.code_info.as_ref();
    Symbol {
        name: found.name.to_string(),
        offset: found.offset as u64,
        module: found.module.as_ref().map(|it| it.to_string_lossy().into_owned()),
        location: place.and_then(|it| Some((it.to_path().to_string_lossy().into_owned(), it.line?))),
        inlined: found.inlined.iter().rev().map(|it| it.name.to_string()).collect(),
    }
}

/// The areas of `/proc/PID/maps` that hold code of files:
/// `55e0-55e4 r-xp 00002000 fd:00 1234   /usr/bin/cat`.
fn parse_maps(text: &str) -> Vec<Area> {
    text.lines().filter_map(parse_area).collect()
}

fn parse_area(line: &str) -> Option<Area> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let (offset, _) = rest.split_once(' ')?;
    let path = rest[rest.find('/')?..].trim_end_matches(" (deleted)");
    let is_code = permissions.as_bytes().get(2) == Some(&b'x');
    is_code.then_some(Area {
        start: number(start)?,
        end: number(end)?,
        offset: number(offset)?,
        path: path.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_kept() {
        let text = "55e000-55e004 r--p 00000000 fd:00 12                     /usr/bin/cat\n\
                    55e004-55e008 r-xp 00002000 fd:00 12                     /usr/bin/a name (deleted)\n\
                    7ffe00-7ffe02 r-xp 00000000 00:00 0                      [vdso]\n\
                    7fff00-7fff02 rw-p 00000000 00:00 0 \n";
        let area = Area { start: 0x55e004, end: 0x55e008, offset: 0x2000, path: "/usr/bin/a name".into() };
        assert_eq!(parse_maps(text), [area]);
    }

    #[inline(never)]
    fn looked_for() -> u64 {
        looked_for as fn() -> u64 as usize as u64
    }

    /// The name of a function of this very process, asked for twice.
    fn own_name(config: Config) -> String {
        let mut symbols = LinuxSymbols::new(&config);
        let names =
            [(); 2].map(|()| symbols.user(std::process::id(), looked_for()).expect("it is here").name);
        assert_eq!(names[0], names[1]);
        names[0].clone()
    }

    #[test]
    fn settings_change_how_names_are_written_and_kept() {
        let plain = Config::default();
        assert!(own_name(plain.clone()).contains("symbols::tests::looked_for"));
        let mangled = own_name(Config { cpp_demangle: false, ..plain.clone() });
        assert!(mangled.starts_with("_ZN") || mangled.starts_with("_R"), "{mangled}");
        for cache_user_symbols in [SymbolCache::PerProgram, SymbolCache::None] {
            let found = own_name(Config { cache_user_symbols, ..plain.clone() });
            assert_eq!(found, own_name(plain.clone()));
        }
    }
}
