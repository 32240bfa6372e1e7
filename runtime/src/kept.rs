//! What maps held when a program ended, for the programs that follow it.
//!
//! Comes in: a manifest and a [`Backend`] with its maps, at the end of one program and at the start
//! of the next. Goes out: the same contents in the next one's maps, laid out by its types. Runs and
//! prints nothing.

mod relayout;

use crate::backend::{Backend, Entry, Result};
use crate::clock::Clock;
use crate::decode::Context;
use crate::maps;
use crate::symbols::Symbols;
use codegen::Manifest;
use codegen::manifest::{MapEntry, Storage};
use codegen::storage::SHORT_KEY;
use lang::diagnostic::counted;
use lang::hir::{Config, Map, MapKind};
use lang::ty::TypeTable;
use relayout::{Typed, relayout};
use std::collections::BTreeMap;

/// Maps by name. One that a program does not mention stays as it is.
#[derive(Debug, Default)]
pub struct KeptMaps {
    maps: BTreeMap<String, Kept>,
}

/// The contents of a map, and what explains their bytes.
#[derive(Debug)]
struct Kept {
    map: Map,
    types: TypeTable,
    config: Config,
    /// Whether each CPU has its own value.
    per_cpu: bool,
    /// Invariant: there is at least one.
    entries: Vec<Entry>,
}

impl KeptMaps {
    /// Keeps what a program's maps hold. Maps that hold nothing are forgotten.
    pub fn save(&mut self, manifest: &Manifest, backend: &mut dyn Backend) -> Result<()> {
        for entry in &manifest.maps {
            let entries = maps::contents(entry, &manifest.types, backend)?;
            if entries.is_empty() {
                self.maps.remove(&entry.map.name);
                continue;
            }
            let kept = Kept {
                map: entry.map.clone(),
                types: manifest.types.clone(),
                config: manifest.config.clone(),
                per_cpu: is_per_cpu(entry),
                entries,
            };
            self.maps.insert(entry.map.name.clone(), kept);
        }
        Ok(())
    }

    /// Fills the maps of a program that is loaded and does not run yet. What comes out are sentences
    /// about maps that do not hold all that they did.
    pub fn restore(&self, manifest: &Manifest, backend: &mut dyn Backend) -> Result<Vec<String>> {
        let mut losses = Vec::new();
        for entry in &manifest.maps {
            let name = &entry.map.name;
            let Some(kept) = self.maps.get(name) else { continue };
            let Some(mut entries) = kept.laid_out_for(entry, &manifest.types) else {
                losses.push(format!("{name} starts empty: what it held does not fit its new type"));
                continue;
            };
            let most = entry.map.max_entries as usize;
            if entries.len() > most && !is_lru(entry.map.kind) {
                losses
                    .push(format!("{name} now holds {most} of its {}", counted(entries.len() as u64, "key")));
                entries.truncate(most);
            }
            entries.iter().try_for_each(|it| put(&entry.storage, it, backend))?;
        }
        Ok(losses)
    }

    /// Whether a map of that name is kept.
    pub fn contains(&self, name: &str) -> bool {
        self.maps.contains_key(name)
    }

    /// The names of all kept maps, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.maps.keys().map(String::as_str)
    }

    /// A kept map's entries in the order of printing; none when there is no such map.
    pub fn entries(&self, name: &str, symbols: &mut dyn Symbols, clock: &dyn Clock) -> Vec<maps::Entry> {
        let Some(kept) = self.maps.get(name) else { return Vec::new() };
        let mut cx = Context { types: &kept.types, symbols, clock, config: &kept.config };
        maps::decode_all(&kept.map, &kept.entries, &mut cx)
    }

    /// Forgets a map.
    pub fn forget(&mut self, name: &str) {
        self.maps.remove(name);
    }
}

impl Kept {
    /// The entries in the layout of another program's map; `None` when its type cannot hold them.
    fn laid_out_for(&self, other: &MapEntry, types: &TypeTable) -> Option<Vec<Entry>> {
        // Which CPU would own a shared value cannot be told, nor how values of any type add up.
        if self.per_cpu && !is_per_cpu(other) {
            return None;
        }
        let key = match (&self.map.key, &other.map.key) {
            (None, None) => None,
            (Some(from), Some(to)) => Some((Typed(from, &self.types), Typed(to, types))),
            _ => return None,
        };
        let value = (Typed(&self.map.value, &self.types), Typed(&other.map.value, types));
        let entry = |(bytes, cpus): &Entry| {
            let bytes = match key {
                Some((from, to)) => relayout(bytes, from, to)?,
                None => bytes.clone(),
            };
            let cpus = cpus.iter().map(|it| relayout(it, value.0, value.1));
            Some((bytes, cpus.collect::<Option<_>>()?))
        };
        self.entries.iter().map(entry).collect()
    }
}

fn put(storage: &Storage, entry: &Entry, backend: &mut dyn Backend) -> Result<()> {
    match storage {
        Storage::Global { offset, set } => {
            for value in &entry.1 {
                backend.write_bss(*offset, value)?;
                backend.write_bss(*set, &[1])?;
            }
            Ok(())
        }
        Storage::Keyed { short: Some(short), .. } if entry.0[..SHORT_KEY as usize].contains(&0) => {
            let (key, cpus) = entry;
            backend.restore(short, &(key[..SHORT_KEY as usize].to_vec(), cpus.clone()))
        }
        Storage::PerCpuScalar { map } | Storage::Keyed { map, .. } => backend.restore(map, entry),
    }
}

fn is_per_cpu(entry: &MapEntry) -> bool {
    match entry.storage {
        Storage::Global { .. } => false,
        Storage::PerCpuScalar { .. } => true,
        Storage::Keyed { per_cpu, .. } => per_cpu,
    }
}

fn is_lru(kind: MapKind) -> bool {
    matches!(kind, MapKind::LruHash | MapKind::PerCpuLruHash)
}
