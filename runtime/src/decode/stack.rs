//! Addresses to names: stacks in all modes, and single symbols.

use crate::decode::{tail, unsigned};
use crate::symbols::{Symbol, Symbols};
use crate::value::Value;
use lang::ty::{StackMode, StackTy};

/// A stack of addresses, zero-terminated; the process id comes first in a user stack.
pub(super) fn decode(bytes: &[u8], ty: StackTy, symbols: &mut dyn Symbols) -> Value {
    let (pid, bytes) = match ty.user {
        true => (Some(unsigned(bytes, 8) as u32), tail(bytes, 8)),
        false => (None, bytes),
    };
    let addresses = bytes.chunks(8).take(ty.limit as usize).map(|bytes| unsigned(bytes, 8));
    let mut lines = Vec::new();
    for address in addresses.take_while(|&address| address != 0) {
        frame(&mut lines, pid, address, ty.mode, symbols);
    }
    Value::Stack(lines)
}

/// The name of a kernel address, without its offset.
pub(super) fn kernel_symbol(address: u64, symbols: &mut dyn Symbols) -> String {
    symbols.kernel(address).map_or_else(|| hexadecimal(address), |symbol| symbol.name)
}

/// The name of an address in a process, without its offset.
pub(super) fn user_symbol(pid: u32, address: u64, symbols: &mut dyn Symbols) -> String {
    symbols.user(pid, address).map_or_else(|| hexadecimal(address), |symbol| symbol.name)
}

/// As C's `%#x` has it: zero goes without the prefix.
fn hexadecimal(address: u64) -> String {
    if address == 0 { "0".to_owned() } else { format!("{address:#x}") }
}

/// The lines of one frame: several where functions were inlined.
fn frame(
    lines: &mut Vec<String>,
    pid: Option<u32>,
    address: u64,
    mode: StackMode,
    symbols: &mut dyn Symbols,
) {
    let mut symbol = || match pid {
        Some(pid) => symbols.user(pid, address),
        None => symbols.kernel(address),
    };
    match mode {
        StackMode::Bpftrace => match symbol() {
            Some(symbol) => lines.extend(plain(&symbol).map(|line| format!("        {line}"))),
            None => lines.push(format!("        {}", hexadecimal(address))),
        },
        StackMode::Perf => match symbol() {
            Some(symbol) => lines.extend(perf(&symbol).map(|line| format!("\t{address:x} {line}"))),
            None => lines.push(format!("\t{address:x} {} ([unknown])", hexadecimal(address))),
        },
        StackMode::Raw => lines.push(format!("{address:x}")),
        StackMode::BuildId => lines.push(match pid.and_then(|pid| symbols.build_id(pid, address)) {
            Some((id, offset)) => format!("{id} {offset:#x}"),
            None => format!("{address:x}"),
        }),
    }
}

/// `[inlined] inner`, `outer+offset@file:line`
fn plain(symbol: &Symbol) -> impl Iterator<Item = String> {
    let inlined = symbol.inlined.iter().map(|name| format!("[inlined] {name}"));
    let location = symbol.location.as_ref().map(|(file, line)| format!("@{file}:{line}"));
    let own = format!("{}+{}{}", symbol.name, symbol.offset, location.unwrap_or_default());
    inlined.chain([own])
}

/// `inner (inlined)`, `outer+offset (module)`
fn perf(symbol: &Symbol) -> impl Iterator<Item = String> {
    let inlined = symbol.inlined.iter().map(|name| format!("{name} (inlined)"));
    let module = symbol.module.as_ref().map(|module| format!(" ({module})"));
    let own = format!("{}+{}{}", symbol.name, symbol.offset, module.unwrap_or_default());
    inlined.chain([own])
}
