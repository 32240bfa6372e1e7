//! Memory shared with the kernel, and files mapped for reading.

use super::{Errno, SysResult};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;

/// A mapping; unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; whoever reads it takes care of
// what the kernel writes meanwhile.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a descriptor from `offset`.
    pub fn new(fd: BorrowedFd<'_>, offset: usize, len: usize, writable: bool) -> SysResult<Self> {
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        Self::map(fd.as_raw_fd(), offset, len, protection, libc::MAP_SHARED)
    }

    /// Memory of zeroes that child processes share.
    pub fn shared(len: usize) -> SysResult<Self> {
        Self::map(-1, 0, len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS)
    }

    fn map(fd: RawFd, offset: usize, len: usize, protection: i32, flags: i32) -> SysResult<Self> {
        let offset = offset as libc::off_t;
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, offset) };
        if address == libc::MAP_FAILED {
            return Err(Errno::last("mmap"));
        }
        let address = NonNull::new(address.cast()).ok_or(Errno { call: "mmap", code: libc::ENOMEM })?;
        Ok(Mapping { address, len })
    }

    /// The first byte.
    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// Copies bytes out; `None` when they are not all inside. Eight-byte words are read whole, so
    /// counters that the kernel changes meanwhile are never torn.
    pub fn read(&self, offset: usize, len: usize) -> Option<Vec<u8>> {
        self.check(offset, len)?;
        let mut bytes = Vec::with_capacity(len + 16);
        let mut at = offset & !7;
        while at < offset + len {
            // SAFETY: the mapping is page-aligned and a multiple of eight long, `at` is a multiple
            // of eight below its end, and the kernel's writes are why the read is volatile.
            let word = unsafe { self.address.add(at).cast::<u64>().read_volatile() };
            bytes.extend_from_slice(&word.to_ne_bytes());
            at += 8;
        }
        bytes.drain(..offset & 7);
        bytes.truncate(len);
        Some(bytes)
    }

    /// Writes bytes; `None` when they would not all be inside.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Option<()> {
        self.check(offset, bytes.len())?;
        let words = bytes.chunks_exact(8);
        let aligned = offset.is_multiple_of(8) && words.remainder().is_empty();
        for (idx, word) in words.enumerate().filter(|_| aligned) {
            let word = u64::from_ne_bytes(word.try_into().ok()?);
            // SAFETY: inside the mapping as checked above, and aligned to eight.
            unsafe { self.address.add(offset + idx * 8).cast::<u64>().write_volatile(word) };
        }
        for (idx, &byte) in bytes.iter().enumerate().filter(|_| !aligned) {
            // SAFETY: inside the mapping as checked above.
            unsafe { self.address.add(offset + idx).write_volatile(byte) };
        }
        Some(())
    }

    fn check(&self, offset: usize, len: usize) -> Option<()> {
        (offset.checked_add(len)? <= self.len).then_some(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the one that mmap gave, and nothing borrows it any more.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.len) };
    }
}
