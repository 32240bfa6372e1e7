//! The machine's memory: regions at made-up addresses, every access checked.

use std::collections::BTreeMap;

/// What a region is, which decides who may touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function's stack frame; bytes start uninitialised.
    Stack,
    /// A map's value.
    MapValue,
    /// Read-only map value.
    ReadOnly,
    /// The program's context.
    Context,
    /// A packet.
    Packet,
    /// Ring buffer memory.
    Record,
    /// Kernel memory: only helpers read it.
    Kernel,
    /// Kernel memory that a helper gives a typed pointer to: programs read it, too.
    Typed,
    /// User memory: only helpers read it.
    User,
}

struct Region {
    kind: Kind,
    bytes: Vec<u8>,
    /// For stack frames: which bytes were written.
    written: Option<Vec<bool>>,
}

/// All regions.
#[derive(Default)]
pub struct Memory {
    regions: BTreeMap<u64, Region>,
    next: u64,
}

/// Regions start this far apart at least, so that running over an end never lands in a neighbour.
const GAP: u64 = 0x1_0000;

impl Memory {
    /// A new region with these bytes.
    pub fn add(&mut self, kind: Kind, bytes: Vec<u8>) -> u64 {
        let base = if kind == Kind::Kernel { 0xffff_8880_0000_0000 } else { 0x7000_0000_0000 };
        let at = base + self.next;
        self.next += (bytes.len() as u64).next_multiple_of(GAP) + GAP;
        self.add_at(at, kind, bytes);
        at
    }

    /// A new region at a fixed address.
    pub fn add_at(&mut self, at: u64, kind: Kind, bytes: Vec<u8>) {
        let written = (kind == Kind::Stack).then(|| vec![false; bytes.len()]);
        self.regions.insert(at, Region { kind, bytes, written });
    }

    /// Says that the region that starts at `at` is of another kind.
    pub fn set_kind(&mut self, at: u64, kind: Kind) {
        if let Some(region) = self.regions.get_mut(&at) {
            region.kind = kind;
        }
    }

    /// Forgets a region.
    pub fn remove(&mut self, at: u64) {
        self.regions.remove(&at);
    }

    /// All bytes of the region that starts at `at`.
    pub fn region(&self, at: u64) -> &[u8] {
        self.regions.get(&at).map_or(&[], |it| &it.bytes)
    }

    /// All bytes of the region that starts at `at`, to change them.
    pub fn region_mut(&mut self, at: u64) -> &mut [u8] {
        self.regions.get_mut(&at).map_or(&mut [], |it| &mut it.bytes)
    }

    fn find(&self, address: u64, len: usize) -> Result<(u64, &Region), String> {
        let (base, region) =
            self.regions.range(..=address).next_back().ok_or_else(|| format!("no memory at {address:#x}"))?;
        let offset = (address - base) as usize;
        if offset.checked_add(len).is_none_or(|end| end > region.bytes.len()) {
            let size = region.bytes.len();
            return Err(format!("{len} bytes at offset {offset} of a {:?} region of {size}", region.kind));
        }
        Ok((*base, region))
    }

    /// Bytes that a program or helper may read directly.
    pub fn read(&self, address: u64, len: usize) -> Result<&[u8], String> {
        let (base, region) = self.find(address, len)?;
        let offset = (address - base) as usize;
        if matches!(region.kind, Kind::Kernel | Kind::User) {
            return Err(format!("direct read of {:?} memory at {address:#x}", region.kind));
        }
        if let Some(written) = &region.written
            && let Some(hole) = written[offset..offset + len].iter().position(|it| !it)
        {
            let from_top = region.bytes.len() - offset - hole;
            return Err(format!("uninitialised stack byte at r10-{from_top}"));
        }
        Ok(&region.bytes[offset..offset + len])
    }

    /// Bytes of kernel or user memory (or of the program's own), as `probe_read_*` sees them.
    pub fn probe(&self, address: u64, len: usize, user: bool) -> Option<&[u8]> {
        let (base, region) = self.find(address, len).ok()?;
        let allowed = (region.kind == Kind::User) == user;
        let offset = (address - base) as usize;
        allowed.then(|| &region.bytes[offset..offset + len])
    }

    /// The bytes from `address` to the region's end.
    pub fn rest(&self, address: u64, user: bool) -> Option<&[u8]> {
        let (base, region) = self.find(address, 0).ok()?;
        ((region.kind == Kind::User) == user).then(|| &region.bytes[(address - base) as usize..])
    }

    /// Writes bytes that a program or helper may write directly.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        let (base, region) = self.find(address, bytes.len())?;
        if !matches!(region.kind, Kind::Stack | Kind::MapValue | Kind::Record | Kind::Packet) {
            return Err(format!("write to {:?} memory at {address:#x}", region.kind));
        }
        let offset = (address - base) as usize;
        let region = self.regions.get_mut(&base).ok_or("region vanished")?;
        region.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        if let Some(written) = &mut region.written {
            written[offset..offset + bytes.len()].fill(true);
        }
        Ok(())
    }

    /// The kind of memory at an address.
    pub fn kind(&self, address: u64) -> Option<Kind> {
        self.find(address, 0).ok().map(|(_, region)| region.kind)
    }

    /// Bytes from `address` to the start of its region.
    pub fn offset(&self, address: u64) -> u64 {
        self.find(address, 0).map_or(0, |(base, _)| address - base)
    }
}
