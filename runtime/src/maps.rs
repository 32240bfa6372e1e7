//! Reading, sorting and changing the script's maps.
//!
//! Comes in: the manifest's description of a map, and a [`Backend`] that holds its bytes. Goes
//! out: decoded entries in the order of printing, or a changed map. Prints nothing.

mod order;

use crate::aggregate;
use crate::backend::{self, Backend, Result};
use crate::decode::{Context, decode, unsigned};
use crate::value::Value;
use codegen::manifest::{MapEntry, Storage};
use lang::hir::{Map, MapKind};
use lang::layout;
use lang::ty::{Agg, Ty, TypeTable};

/// A key (`None` for a scalar; several keys are a [`Value::Tuple`]) and its value.
pub type Entry = (Option<Value>, Value);

/// All entries in the order of printing; none for a scalar that was never written.
pub fn snapshot(entry: &MapEntry, backend: &mut dyn Backend, cx: &mut Context<'_>) -> Result<Vec<Entry>> {
    let contents = contents(entry, cx.types, backend)?;
    Ok(decode_all(&entry.map, &contents, cx))
}

/// All entries as they are in memory, in no order; none for a scalar that was never written, and of
/// one in `.bss` no key.
pub fn contents(
    entry: &MapEntry,
    types: &TypeTable,
    backend: &mut dyn Backend,
) -> Result<Vec<backend::Entry>> {
    let size = layout::size_of(&entry.map.value, types);
    match &entry.storage {
        Storage::Global { offset, set } => {
            if backend.read_bss(*set, 1)?.iter().all(|&byte| byte == 0) {
                return Ok(Vec::new());
            }
            Ok(vec![(Vec::new(), vec![backend.read_bss(*offset, size)?])])
        }
        Storage::PerCpuScalar { map } => {
            let mut entries = backend.entries(map)?;
            entries.retain(|(_, cpus)| cpus.iter().any(|cpu| is_set(cpu, size)));
            entries.truncate(1);
            Ok(entries)
        }
        Storage::Keyed { .. } => {
            let key_size = entry.map.key.as_ref().map_or(0, |ty| layout::size_of(ty, types)) as usize;
            let mut entries = Vec::new();
            for kernel_map in kernel_maps(&entry.storage) {
                entries.extend(backend.entries(kernel_map)?);
            }
            // Short keys are the same values as long ones, without the zeros behind.
            entries.iter_mut().for_each(|(key, _)| key.resize(key.len().max(key_size), 0));
            // An array has all of its indices; those that say nothing are left out.
            if entry.map.kind == MapKind::Array {
                entries.retain(|(_, cpus)| cpus.iter().flatten().any(|&byte| byte != 0));
            }
            Ok(entries)
        }
    }
}

/// The [`contents`] of a map as values, in the order of printing.
pub fn decode_all(map: &Map, contents: &[backend::Entry], cx: &mut Context<'_>) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(contents.len());
    for (key, cpus) in contents {
        let key = map.key.as_ref().map(|ty| decode(key, ty, cx));
        entries.push((key, merge(cpus, &map.value, cx)));
    }
    order::sort(&mut entries);
    entries
}

/// The value of one key, given as its bytes; zero when there is no such entry.
pub fn lookup(
    entry: &MapEntry,
    key: &[u8],
    backend: &mut dyn Backend,
    cx: &mut Context<'_>,
) -> Result<Value> {
    let cpus = match &entry.storage {
        Storage::Keyed { .. } => {
            let mut found = None;
            for kernel_map in kernel_maps(&entry.storage) {
                let entries = backend.entries(kernel_map)?;
                found = found.or(entries.into_iter().find(|(other, _)| is_same_key(other, key)));
            }
            found.map(|(_, cpus)| cpus)
        }
        Storage::Global { .. } | Storage::PerCpuScalar { .. } => {
            return Ok(match snapshot(entry, backend, cx)?.pop() {
                Some((_, value)) => value,
                None => decode(&[], &entry.map.value, cx),
            });
        }
    };
    Ok(merge(&cpus.unwrap_or_default(), &entry.map.value, cx))
}

/// What `print` shows of a map without entries: a scalar's zero value, but nothing of a keyed map
/// or a histogram.
pub fn unset(entry: &MapEntry, cx: &mut Context<'_>) -> Option<Entry> {
    let bare =
        entry.map.key.is_some() || matches!(entry.map.agg(), Some(Agg::Hist { .. } | Agg::Lhist { .. }));
    (!bare).then(|| (None, decode(&[], &entry.map.value, cx)))
}

/// `clear(@map)`: no keys are left, a scalar is as if never written. An array always has all its
/// keys, so there only the values go.
pub fn clear(entry: &MapEntry, types: &TypeTable, backend: &mut dyn Backend) -> Result<()> {
    let size = layout::size_of(&entry.map.value, types) as usize;
    match &entry.storage {
        Storage::Global { offset, set } => {
            backend.write_bss(*set, &[0])?;
            backend.write_bss(*offset, &vec![0; size])
        }
        Storage::PerCpuScalar { map } => {
            for (key, _) in backend.entries(map)? {
                backend.update(map, &key, &vec![0; flag_offset(size) + 8])?;
            }
            Ok(())
        }
        Storage::Keyed { .. } if entry.map.kind == MapKind::Array => zero(entry, types, backend),
        Storage::Keyed { .. } => {
            for map in kernel_maps(&entry.storage) {
                for (key, _) in backend.entries(map)? {
                    backend.delete(map, &key)?;
                }
            }
            Ok(())
        }
    }
}

/// `zero(@map)`: the keys stay, their values become zero.
pub fn zero(entry: &MapEntry, types: &TypeTable, backend: &mut dyn Backend) -> Result<()> {
    let size = layout::size_of(&entry.map.value, types);
    match &entry.storage {
        Storage::Global { offset, .. } => backend.write_bss(*offset, &vec![0; size as usize]),
        Storage::PerCpuScalar { map } => {
            for (key, cpus) in backend.entries(map)? {
                let mut bytes = vec![0; flag_offset(size as usize)];
                let set = cpus.iter().any(|cpu| is_set(cpu, size));
                bytes.extend_from_slice(&u64::from(set).to_le_bytes());
                backend.update(map, &key, &bytes)?;
            }
            Ok(())
        }
        Storage::Keyed { .. } => {
            for map in kernel_maps(&entry.storage) {
                for (key, _) in backend.entries(map)? {
                    backend.update(map, &key, &vec![0; size as usize])?;
                }
            }
            Ok(())
        }
    }
}

/// The kernel maps that share the keys of a script's map.
fn kernel_maps(storage: &Storage) -> impl Iterator<Item = &str> {
    let (map, short) = match storage {
        Storage::Global { .. } => (None, None),
        Storage::PerCpuScalar { map } => (Some(map), None),
        Storage::Keyed { map, short, .. } => (Some(map), short.as_ref()),
    };
    map.into_iter().chain(short).map(String::as_str)
}

/// Whether two keys are the same but for zeros behind the shorter one.
fn is_same_key(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    long.starts_with(short) && long[short.len()..].iter().all(|&byte| byte == 0)
}

/// Where the is-set word of a per-CPU scalar is.
fn flag_offset(size: usize) -> usize {
    size.next_multiple_of(8)
}

fn is_set(cpu: &[u8], size: u32) -> bool {
    unsigned(cpu.get(flag_offset(size as usize)..).unwrap_or_default(), 8) != 0
}

/// One value from its bytes on each CPU. Integers of a map that the script declared per CPU add
/// up; of other values the first one that is not zero stands for all.
fn merge(cpus: &[Vec<u8>], ty: &Ty, cx: &mut Context<'_>) -> Value {
    match (ty, cpus) {
        (Ty::Agg(agg), _) => aggregate::merge(agg, cpus),
        (_, [only]) => decode(only, ty, cx),
        (Ty::Int(int), _) => {
            let sum = cpus.iter().fold(0u64, |sum, cpu| sum.wrapping_add(unsigned(cpu, int.size)));
            decode(&sum.to_le_bytes(), ty, cx)
        }
        _ => {
            let first = cpus.iter().find(|cpu| cpu.iter().any(|&byte| byte != 0));
            decode(first.map_or(&[], Vec::as_slice), ty, cx)
        }
    }
}

#[cfg(test)]
mod tests;
