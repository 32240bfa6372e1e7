//! Kernel maps whose key and value sizes are known only at run time.
//!
//! Comes in: key and value bytes. Goes out: entries as bytes, one value for each possible CPU
//! where the map is per CPU. Nothing here knows types.

use super::sys::bpf::{self, Batch};
use super::sys::{Errno, SysResult};
use crate::backend::Entry;
use std::os::fd::{AsFd, OwnedFd};

/// A kernel map.
pub struct Map {
    /// Its descriptor.
    pub fd: OwnedFd,
    /// `BPF_MAP_TYPE_*`
    pub kind: u32,
    /// Bytes.
    pub key_size: u32,
    /// Bytes of one value.
    pub value_size: u32,
    /// Entries; bytes for a ring buffer.
    pub max_entries: u32,
    /// Values that each entry has: the possible CPUs, or 1.
    pub copies: u32,
}

/// How many entries one call asks for at most.
const BATCH: u32 = 4096;

impl Map {
    /// All entries. Entries that come or go meanwhile may be in it or not, others are in it once.
    pub fn entries(&self) -> SysResult<Vec<Entry>> {
        match self.entries_by_batch() {
            // Kernels and kinds without batches, and buckets fuller than a batch.
            Err(Errno { code: libc::EINVAL | libc::ENOSPC | libc::EOPNOTSUPP | 524, .. }) => {
                self.entries_by_key()
            }
            res => res,
        }
    }

    fn entries_by_batch(&self) -> SysResult<Vec<Entry>> {
        let count = self.max_entries.clamp(1, BATCH);
        let (key_len, value_len) = (self.key_size as usize, self.row_len());
        let mut keys = vec![0; key_len * count as usize];
        let mut values = vec![0; value_len * count as usize];
        // Hash maps need four bytes for the place, arrays and tries as many as the key has.
        let mut place = vec![0; key_len.max(8)];
        let (mut entries, mut first) = (Vec::new(), true);
        loop {
            let batch =
                bpf::map_lookup_batch(self.fd.as_fd(), first, &mut place, &mut keys, &mut values, count)?;
            let (Batch::More(n) | Batch::Last(n)) = batch;
            let rows = keys.chunks_exact(key_len).zip(values.chunks_exact(value_len)).take(n as usize);
            entries.extend(rows.map(|(key, row)| (key.to_vec(), self.split(row))));
            if matches!(batch, Batch::Last(_)) {
                return Ok(entries);
            }
            first = false;
        }
    }

    fn entries_by_key(&self) -> SysResult<Vec<Entry>> {
        let (mut keys, mut next) = (Vec::<Vec<u8>>::new(), vec![0; self.key_size as usize]);
        // A key that is deleted meanwhile sends the walk back to the start; the bound ends it.
        while keys.len() <= self.max_entries as usize
            && bpf::map_next_key(self.fd.as_fd(), keys.last().map(Vec::as_slice), &mut next)?
        {
            keys.push(next.clone());
        }
        keys.sort_unstable();
        keys.dedup();
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(values) = self.lookup(&key)? {
                entries.push((key, values));
            }
        }
        Ok(entries)
    }

    /// One entry's values.
    pub fn lookup(&self, key: &[u8]) -> SysResult<Option<Vec<Vec<u8>>>> {
        self.check(key, None)?;
        let mut row = vec![0; self.row_len()];
        let found = bpf::map_lookup(self.fd.as_fd(), key, &mut row)?;
        Ok(found.then(|| self.split(&row)))
    }

    /// Sets an entry, on every CPU.
    pub fn update(&self, key: &[u8], value: &[u8]) -> SysResult<()> {
        self.check(key, Some(value))?;
        let mut row = value.to_vec();
        row.resize(self.stride(), 0);
        bpf::map_update(self.fd.as_fd(), key, &row.repeat(self.copies as usize))
    }

    /// Sets an entry, each CPU's own value; zero on CPUs for which there is none.
    pub fn restore(&self, key: &[u8], values: &[Vec<u8>]) -> SysResult<()> {
        let mut row = vec![0; self.row_len()];
        for (place, value) in row.chunks_exact_mut(self.stride()).zip(values) {
            self.check(key, Some(value))?;
            place[..value.len()].copy_from_slice(value);
        }
        self.check(key, None)?;
        bpf::map_update(self.fd.as_fd(), key, &row)
    }

    /// Removes an entry if it is there.
    pub fn delete(&self, key: &[u8]) -> SysResult<()> {
        self.check(key, None)?;
        bpf::map_delete(self.fd.as_fd(), key).map(drop)
    }

    /// The kernel reads as many bytes as the map says, so slices must be that long.
    fn check(&self, key: &[u8], value: Option<&[u8]>) -> SysResult<()> {
        let fits = key.len() == self.key_size as usize
            && value.is_none_or(|value| value.len() == self.value_size as usize);
        if fits { Ok(()) } else { Err(Errno { call: "bpf", code: libc::EINVAL }) }
    }

    /// Bytes from one CPU's value to the next.
    fn stride(&self) -> usize {
        let size = self.value_size as usize;
        if self.is_per_cpu() { size.next_multiple_of(8) } else { size }
    }

    /// Bytes that the kernel fills for one entry.
    fn row_len(&self) -> usize {
        self.stride() * self.copies as usize
    }

    fn split(&self, row: &[u8]) -> Vec<Vec<u8>> {
        row.chunks_exact(self.stride()).map(|it| it[..self.value_size as usize].to_vec()).collect()
    }

    fn is_per_cpu(&self) -> bool {
        is_per_cpu(self.kind)
    }
}

/// Whether maps of this kind have a value for each CPU.
pub fn is_per_cpu(kind: u32) -> bool {
    const PERCPU_HASH: u32 = 5;
    const PERCPU_ARRAY: u32 = 6;
    const LRU_PERCPU_HASH: u32 = 10;
    matches!(kind, PERCPU_HASH | PERCPU_ARRAY | LRU_PERCPU_HASH)
}
