//! The machine's maps: the kinds that kscope's objects use, with the kernel's error numbers.

use super::memory::{Kind, Memory};
use codegen::ir::KernelMapKind;
use std::collections::BTreeMap;

/// `-ENOENT`
pub const ENOENT: i64 = -2;
/// `-E2BIG`
pub const E2BIG: i64 = -7;
/// `-EEXIST`
pub const EEXIST: i64 = -17;
/// `-EINVAL`
pub const EINVAL: i64 = -22;
/// `-EAGAIN`
pub const EAGAIN: i64 = -11;

/// A map.
pub struct Map {
    /// Its symbol.
    pub name: String,
    /// Its kind.
    pub kind: KernelMapKind,
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of a value.
    pub value_size: usize,
    /// Most entries; bytes of a ring buffer.
    pub max_entries: usize,
    /// Key to the addresses of its values, one for each CPU. Ordered, so that runs repeat.
    entries: BTreeMap<Vec<u8>, Vec<u64>>,
    /// Keys from the least to the most recently used, for LRU kinds.
    recent: Vec<Vec<u8>>,
    /// Records waiting in a ring buffer.
    pub records: Vec<Vec<u8>>,
}

impl Map {
    /// An empty map; arrays get their values.
    pub fn new(
        name: &str,
        kind: KernelMapKind,
        [key_size, value_size, max_entries]: [u32; 3],
        cpus: usize,
        memory: &mut Memory,
    ) -> Map {
        let mut map = Map {
            name: name.to_owned(),
            kind,
            key_size: key_size as usize,
            value_size: value_size as usize,
            max_entries: max_entries as usize,
            entries: BTreeMap::new(),
            recent: Vec::new(),
            records: Vec::new(),
        };
        if map.is_array() {
            for index in 0..max_entries {
                let values = map.allocate(cpus, memory);
                map.entries.insert(index.to_le_bytes().to_vec(), values);
            }
        }
        map
    }

    /// Whether each CPU has its own values.
    pub fn per_cpu(&self) -> bool {
        matches!(
            self.kind,
            KernelMapKind::PerCpuArray | KernelMapKind::PerCpuHash | KernelMapKind::LruPerCpuHash
        )
    }

    fn is_array(&self) -> bool {
        matches!(self.kind, KernelMapKind::Array | KernelMapKind::PerCpuArray)
    }

    fn is_lru(&self) -> bool {
        matches!(self.kind, KernelMapKind::LruHash | KernelMapKind::LruPerCpuHash)
    }

    fn allocate(&self, cpus: usize, memory: &mut Memory) -> Vec<u64> {
        let copies = if self.per_cpu() { cpus } else { 1 };
        (0..copies).map(|_| memory.add(Kind::MapValue, vec![0; self.value_size])).collect()
    }

    /// The address of a value as one CPU sees it.
    pub fn lookup(&mut self, key: &[u8], cpu: usize) -> Option<u64> {
        let values = match self.kind {
            KernelMapKind::LpmTrie => self.longest_match(key)?,
            _ => self.entries.get(key)?,
        };
        let at = values[if values.len() > 1 { cpu } else { 0 }];
        self.touch(key);
        Some(at)
    }

    /// The entry of the longest prefix that the key begins with: u32 bits, then the data.
    fn longest_match(&self, key: &[u8]) -> Option<&Vec<u64>> {
        let bits = |key: &[u8]| key.first_chunk().map_or(0, |it| u32::from_le_bytes(*it));
        let begins = |prefix: &[u8]| {
            let same = |at: u32| {
                let bit = |key: &[u8]| key[4 + at as usize / 8] >> (7 - at % 8) & 1;
                bit(prefix) == bit(key)
            };
            bits(prefix) <= bits(key) && (0..bits(prefix)).all(same)
        };
        let matching = self.entries.iter().filter(|(prefix, _)| begins(prefix));
        matching.max_by_key(|(prefix, _)| bits(prefix)).map(|(_, values)| values)
    }

    fn touch(&mut self, key: &[u8]) {
        if self.is_lru() {
            self.recent.retain(|it| it != key);
            self.recent.push(key.to_vec());
        }
    }

    /// `bpf_map_update_elem`
    pub fn update(
        &mut self,
        key: &[u8],
        value: &[u8],
        flags: u64,
        cpu: usize,
        cpus: usize,
        memory: &mut Memory,
    ) -> i64 {
        const NOEXIST: u64 = 1;
        const EXIST: u64 = 2;
        let exists = self.entries.contains_key(key);
        match flags {
            NOEXIST if exists => return EEXIST,
            EXIST if !exists => return ENOENT,
            0..=2 => {}
            _ => return EINVAL,
        }
        if !exists {
            if self.is_array() || (self.entries.len() >= self.max_entries && !self.is_lru()) {
                return E2BIG;
            }
            if self.entries.len() >= self.max_entries {
                let oldest = self.recent.remove(0);
                self.delete(&oldest, memory);
            }
            let values = self.allocate(cpus, memory);
            self.entries.insert(key.to_vec(), values);
        }
        self.touch(key);
        let values = &self.entries[key];
        memory.region_mut(values[if values.len() > 1 { cpu } else { 0 }]).copy_from_slice(value);
        0
    }

    /// `bpf_map_delete_elem`
    pub fn delete(&mut self, key: &[u8], memory: &mut Memory) -> i64 {
        if self.is_array() {
            return EINVAL;
        }
        match self.entries.remove(key) {
            None => ENOENT,
            Some(values) => {
                values.into_iter().for_each(|at| memory.remove(at));
                self.recent.retain(|it| it != key);
                0
            }
        }
    }

    /// Every key with the addresses of its values.
    pub fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u64>)> {
        self.entries.iter()
    }

    /// Adds a record, unless the ring is full. A record takes an 8-byte header and is padded.
    pub fn push_record(&mut self, record: Vec<u8>) -> bool {
        let size = |it: &Vec<u8>| it.len().next_multiple_of(8) + 8;
        let used: usize = self.records.iter().map(size).sum();
        let fits = used + size(&record) <= self.max_entries;
        if fits {
            self.records.push(record);
        }
        fits
    }
}
