//! What happens when a record arrives, and at the end: actions are carried out, maps printed.
//!
//! Comes in: records and counters through a [`Backend`], and the manifest that says what they
//! mean. Goes out: messages to [`Output`], changes to maps, an exit code. A record that the
//! manifest cannot explain is an error, never a panic.
//!
//! When the reader of the script's output is gone, nothing more is printed and the run is to end:
//! [`Dispatcher::exit_code`] then says 0, unless the script has said otherwise.

mod failures;
mod outside;

use crate::backend::{Backend, Error, Result};
use crate::clock::{Clock, Dialect, strftime};
use crate::decode::{Context, decode, unsigned};
use crate::linux::reason;
use crate::maps;
use crate::output::{Message, Output, formatted, summary};
use crate::outside::{Outside, ThisMachine};
use crate::symbols::Symbols;
use crate::value::Value;
use codegen::Manifest;
use codegen::manifest::MapEntry;
use failures::Floods;
use lang::hir::{ActionKind, MapId, Summary};
use lang::layout;
use lang::ty::{Ty, TypeTable};
use std::io;

/// Carries out a program's actions.
pub struct Dispatcher {
    manifest: Manifest,
    /// Where each action's arguments are, by id; behind them the same of failures.
    layouts: Vec<Layout>,
    output: Output,
    machine: Machine,
    outside: Box<dyn Outside>,
    reported: Reported,
    floods: Floods,
    exit: Option<u8>,
    /// An `exit` came: what probes sent behind it is dropped, but not what `end` sends.
    leaving: bool,
    /// The script's output has no reader any more.
    closed: bool,
}

/// What decoding asks of the machine.
struct Machine {
    symbols: Box<dyn Symbols>,
    clock: Box<dyn Clock>,
}

/// What was lost and already reported.
#[derive(Default)]
struct Reported {
    /// Records that did not fit the ring buffer.
    lost: u64,
    /// Updates that each map refused.
    full: Vec<u64>,
}

/// Where the arguments of an action are in its records.
struct Layout {
    /// From the start of the record.
    offsets: Vec<u32>,
    /// Bytes that every record has: all but the unused part of a last string or buffer.
    least: u32,
}

/// Bytes of the action id in front of the arguments.
const HEADER: u32 = 8;

impl Dispatcher {
    /// For one run of a program.
    pub fn new(manifest: Manifest, output: Output, symbols: Box<dyn Symbols>, clock: Box<dyn Clock>) -> Self {
        let layout = |args: &[Ty]| Layout::new(args, &manifest.types);
        let actions = manifest.actions.iter().map(|action| layout(&action.args));
        let layouts = actions.chain(manifest.failures.iter().map(|_| layout(&[Ty::I64]))).collect();
        let floods = Floods::new(manifest.failures.len());
        let output = output.with_trailer(&manifest.config.str_trunc_trailer);
        let reported = Reported { lost: 0, full: vec![0; manifest.maps.len()] };
        let machine = Machine { symbols, clock };
        Dispatcher {
            manifest,
            layouts,
            output,
            machine,
            outside: Box::new(ThisMachine),
            reported,
            floods,
            exit: None,
            leaving: false,
            closed: false,
        }
    }

    /// Files and commands of actions come from here, rather than from the machine.
    pub fn with_outside(self, outside: Box<dyn Outside>) -> Self {
        Dispatcher { outside, ..self }
    }

    /// The exit code, once the script called `exit`.
    pub fn exit_code(&self) -> Option<u8> {
        self.exit
    }

    /// Takes note of a process whose addresses may be printed after it has ended.
    pub fn remember(&mut self, pid: u32) {
        self.machine.symbols.remember(pid);
    }

    /// Says how many probes are attached (JSON on the script's output, text on stderr).
    pub fn attached(&mut self, probes: usize) -> Result<()> {
        self.print(&Message::Attached(probes))?;
        self.flush()
    }

    /// Drains the backend's records and carries each one out.
    pub fn drain(&mut self, backend: &mut dyn Backend) -> Result<()> {
        let mut outcome = Ok(());
        // While it drains, the backend cannot be asked about maps: an action that needs it, and
        // everything behind that one, waits until all records are out.
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        backend.drain(&mut |record| {
            if outcome.is_err() || self.leaving {
                return;
            }
            outcome = self.action(record).and_then(|id| {
                if waiting.is_empty() && !self.needs_backend(id) {
                    return self.act(id, record);
                }
                waiting.push(record.to_vec());
                Ok(())
            });
        })?;
        outcome?;
        for record in waiting {
            if self.leaving {
                break;
            }
            let id = self.action(&record)?;
            if self.needs_backend(id) {
                self.act_on_kernel(id, &record, backend)?;
            } else {
                self.act(id, &record)?;
            }
        }
        self.flush()
    }

    /// Reports lost records, full maps and failures that were not reported yet.
    pub fn report_losses(&mut self, backend: &mut dyn Backend) -> Result<()> {
        self.tell_floods(false)?;
        let lost = self.manifest.globals.lost;
        let counters = lost.into_iter().chain(self.manifest.maps.iter().filter_map(|map| map.full));
        let Some((first, last)) = counters.clone().min().zip(counters.max()) else { return Ok(()) };
        let bytes = backend.read_bss(first, last - first + 8)?;
        let counter = |offset: u32| unsigned(bytes.get((offset - first) as usize..).unwrap_or_default(), 8);

        let total = lost.map_or(0, counter);
        let new = total.saturating_sub(self.reported.lost);
        self.reported.lost = total;
        if new > 0 {
            self.print(&Message::Lost(new))?;
        }
        for idx in 0..self.manifest.maps.len() {
            let total = self.manifest.maps[idx].full.map_or(0, counter);
            let refused = total.saturating_sub(self.reported.full[idx]);
            self.reported.full[idx] = total;
            if refused > 0 && !self.closed {
                let map = &self.manifest.maps[idx].map;
                let (name, max_entries) = (&map.name, map.max_entries);
                let message = Message::MapFull { name, refused, max_entries, kind: map.kind };
                let printed = self.output.message(&message);
                self.survive(printed)?;
            }
        }
        self.flush()
    }

    /// The end of the run: what the `end` programs sent, losses, then all maps as the configuration
    /// says. What was sent before those programs ran has been drained.
    pub fn finish(&mut self, backend: &mut dyn Backend) -> Result<()> {
        self.leaving = false;
        self.drain(backend)?;
        self.tell_floods(true)?;
        self.report_losses(backend)?;
        self.print(&Message::End)?;
        if self.manifest.config.print_maps_on_exit {
            let mut order: Vec<usize> = (0..self.manifest.maps.len()).collect();
            order.sort_by_key(|&idx| &self.manifest.maps[idx].map.name);
            for idx in order {
                self.print_map(idx, None, 1, Cause::End, backend)?;
            }
        }
        let ended = if self.closed { Ok(()) } else { self.output.end() };
        self.survive(ended)
    }

    /// The id of the action that a record asks for, or behind all of them of a failure.
    fn action(&self, record: &[u8]) -> Result<usize> {
        if record.len() < HEADER as usize {
            return Err(damaged(format!("a record of {} bytes has no action", record.len())));
        }
        let id = unsigned(record, 8);
        let known = usize::try_from(id).ok().filter(|&id| id < self.layouts.len());
        let id =
            known.ok_or_else(|| damaged(format!("a record asks for action {id}, which does not exist")))?;
        let least = self.layouts[id].least as usize;
        if record.len() < least {
            let len = record.len();
            return Err(damaged(format!("a record for action {id} has {len} bytes instead of {least}")));
        }
        Ok(id)
    }

    fn needs_backend(&self, id: usize) -> bool {
        let Some(action) = self.manifest.actions.get(id) else { return false };
        match &action.kind {
            // An aggregation's value is not in the record.
            ActionKind::PrintEntry(_) => !matches!(action.args.get(1), Some(ty) if !matches!(ty, Ty::Agg(_))),
            ActionKind::Unwatch => true,
            kind => kind.map().is_some(),
        }
    }

    /// Carries out an action that the record says everything about.
    fn act(&mut self, id: usize, record: &[u8]) -> Result<()> {
        if let Some(place) = id.checked_sub(self.manifest.actions.len()) {
            return self.fail(place, record);
        }
        if let ActionKind::Exit = self.manifest.actions[id].kind {
            let code = self.arguments(id, record).first().map_or(0, Value::bits);
            self.exit.get_or_insert(code as u8);
            self.leaving = true;
            return Ok(());
        }
        if self.closed {
            return Ok(());
        }
        let args = self.arguments(id, record);
        let printed = match &self.manifest.actions[id].kind {
            ActionKind::Printf(format) => self.output.message(&Message::Printf(format, &args)),
            ActionKind::Errorf(format) | ActionKind::Warnf(format) => {
                let action = &self.manifest.actions[id];
                let error = matches!(action.kind, ActionKind::Errorf(_));
                let (span, sources) = (action.span, &self.manifest.sources);
                self.output.message(&Message::Report { error, format, args: &args, span, sources })
            }
            ActionKind::Cat(format) => {
                let path = String::from_utf8_lossy(&formatted(format, &args)).into_owned();
                return self.print_file(&path);
            }
            ActionKind::System(format) => {
                let command = String::from_utf8_lossy(&formatted(format, &args)).into_owned();
                return self.run_command(&command);
            }
            ActionKind::PrintValue | ActionKind::PrintEntry(_) => match args.last() {
                Some(value) => self.output.message(&Message::Value(value)),
                None => Ok(()),
            },
            ActionKind::Time(format) => {
                let clock = &*self.machine.clock;
                let text = strftime(format, clock.now(), Dialect::C, clock);
                self.output.message(&Message::Time(&text))
            }
            ActionKind::Join(separator) => {
                let text = args.first().map(|arg| joined(arg, separator)).unwrap_or_default();
                self.output.message(&Message::Join(&text))
            }
            ActionKind::Exit
            | ActionKind::PrintMap(_)
            | ActionKind::PrintSummary(..)
            | ActionKind::Clear(_)
            | ActionKind::Zero(_)
            | ActionKind::Unwatch => Ok(()),
        };
        self.survive(printed)
    }

    /// Carries out an action that reads or changes a map, or what is attached.
    fn act_on_kernel(&mut self, id: usize, record: &[u8], backend: &mut dyn Backend) -> Result<()> {
        match self.manifest.actions[id].kind.clone() {
            ActionKind::PrintSummary(map, parts) => self.print_summary(self.map(map)?, &parts, backend),
            ActionKind::Unwatch => {
                let address = self.arguments(id, record).first().map_or(0, Value::bits);
                backend.unwatch(address);
                Ok(())
            }
            ActionKind::PrintMap(map) => {
                let args = self.arguments(id, record);
                let top = args.first().map(Value::bits);
                let div = args.get(1).map_or(1, Value::bits);
                self.print_map(self.map(map)?, top, div, Cause::Script, backend)
            }
            ActionKind::PrintEntry(map) => {
                let idx = self.map(map)?;
                let key = self.key_bytes(id, record);
                let (entry, mut cx) = self.entry(idx);
                let value = maps::lookup(entry, &key, backend, &mut cx)?;
                self.print(&Message::Value(&value))
            }
            ActionKind::Clear(map) => {
                let entry = &self.manifest.maps[self.map(map)?];
                maps::clear(entry, &self.manifest.types, backend)
            }
            ActionKind::Zero(map) => {
                let entry = &self.manifest.maps[self.map(map)?];
                maps::zero(entry, &self.manifest.types, backend)
            }
            ActionKind::Printf(_)
            | ActionKind::Errorf(_)
            | ActionKind::Warnf(_)
            | ActionKind::Cat(_)
            | ActionKind::System(_)
            | ActionKind::PrintValue
            | ActionKind::Exit
            | ActionKind::Time(_)
            | ActionKind::Join(_) => Ok(()),
        }
    }

    /// Prints a map. One without entries is skipped, but an explicit `print` of a scalar that was
    /// never written shows its zero value.
    fn print_map(
        &mut self,
        idx: usize,
        top: Option<u64>,
        div: u64,
        cause: Cause,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let (entry, mut cx) = self.entry(idx);
        let mut entries = maps::snapshot(entry, backend, &mut cx)?;
        if entries.is_empty() && cause == Cause::Script {
            entries.extend(maps::unset(entry, &mut cx));
        }
        if entries.is_empty() {
            return Ok(());
        }
        let name = &self.manifest.maps[idx].map.name;
        let printed = self.output.message(&Message::Map { name, entries: &entries, top, div });
        self.survive(printed)
    }

    /// Prints what a map's histograms tell of their values.
    fn print_summary(&mut self, idx: usize, parts: &[Summary], backend: &mut dyn Backend) -> Result<()> {
        let (entry, mut cx) = self.entry(idx);
        let mut entries = maps::snapshot(entry, backend, &mut cx)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (_, value) in &mut entries {
            if let Value::Hist(histogram) = value {
                *value = summary(histogram, parts);
            }
        }
        let name = self.manifest.maps[idx].map.name.clone();
        self.print(&Message::Map { name: &name, entries: &entries, top: None, div: 1 })
    }

    fn map(&self, id: MapId) -> Result<usize> {
        let idx = id.0 as usize;
        let known = (idx < self.manifest.maps.len()).then_some(idx);
        known.ok_or_else(|| damaged(format!("an action names map {id}, which does not exist")))
    }

    /// A map and what decoding it needs.
    fn entry(&mut self, idx: usize) -> (&MapEntry, Context<'_>) {
        (&self.manifest.maps[idx], self.machine.context(&self.manifest))
    }

    fn arguments(&mut self, id: usize, record: &[u8]) -> Vec<Value> {
        let mut cx = self.machine.context(&self.manifest);
        let places = self.manifest.actions[id].args.iter().zip(&self.layouts[id].offsets);
        places
            .map(|(ty, &offset)| decode(record.get(offset as usize..).unwrap_or_default(), ty, &mut cx))
            .collect()
    }

    /// The first argument's bytes, as they are in the kernel's map.
    fn key_bytes(&self, id: usize, record: &[u8]) -> Vec<u8> {
        let Some((ty, &offset)) =
            self.manifest.actions[id].args.first().zip(self.layouts[id].offsets.first())
        else {
            return Vec::new();
        };
        let size = layout::size_of(ty, &self.manifest.types) as usize;
        let mut key = record.get(offset as usize..).unwrap_or_default().to_vec();
        key.resize(size, 0);
        key
    }

    fn print(&mut self, message: &Message<'_>) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let printed = self.output.message(message);
        self.survive(printed)
    }

    fn flush(&mut self) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.output.flush();
        self.survive(flushed)
    }

    /// A reader that has gone is not an error, but nobody is left to print for.
    fn survive(&mut self, written: io::Result<()>) -> Result<()> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                self.exit.get_or_insert(0);
                Ok(())
            }
            Err(error) => {
                Err(Error::new(format!("cannot write the script's output: {}", reason::of(&error))))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Why a map is printed.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    /// `print(@map)`
    Script,
    /// The run is over.
    End,
}

impl Machine {
    fn context<'a>(&'a mut self, manifest: &'a Manifest) -> Context<'a> {
        Context {
            types: &manifest.types,
            symbols: &mut *self.symbols,
            clock: &*self.clock,
            config: &manifest.config,
        }
    }
}

impl Layout {
    fn new(args: &[Ty], types: &TypeTable) -> Self {
        let (offsets, _) = layout::fields(args.iter(), types);
        let offsets: Vec<u32> = offsets.iter().map(|offset| HEADER + offset).collect();
        let least = match args.last().zip(offsets.last()) {
            Some((ty, offset)) => offset + least_size(ty, types),
            None => HEADER,
        };
        Layout { offsets, least }
    }
}

/// Bytes of a value that a record cannot do without when the value comes last.
fn least_size(ty: &Ty, types: &TypeTable) -> u32 {
    let last_of = |tys: &mut dyn Iterator<Item = &Ty>| {
        let tys: Vec<&Ty> = tys.collect();
        let (offsets, _) = layout::fields(tys.iter().copied(), types);
        tys.last().zip(offsets.last()).map_or(0, |(ty, offset)| offset + least_size(ty, types))
    };
    match ty {
        Ty::Str(_) => 0,
        Ty::Buf(_) => 4,
        Ty::Tuple(items) => last_of(&mut items.iter()),
        Ty::Record(items) => last_of(&mut items.iter().map(|(_, ty)| ty)),
        _ => layout::size_of(ty, types),
    }
}

/// The strings of a buffer, each ended by a NUL, with `separator` between them.
fn joined(value: &Value, separator: &str) -> Vec<u8> {
    let bytes = match value {
        Value::Buf(bytes) | Value::Str { bytes, .. } => bytes.as_slice(),
        _ => &[],
    };
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|&byte| byte == 0).collect::<Vec<_>>().join(separator.as_bytes())
}

fn damaged(what: String) -> Error {
    Error::new(what)
        .hint("the object and this version of kscope do not fit; please report it with the script")
}

#[cfg(test)]
mod tests;
