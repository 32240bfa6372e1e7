//! The consumer's end of a BPF ring buffer.
//!
//! Comes in: the two shared mappings. Goes out: records in order, as slices of the shared memory.
//! The kernel maps the data twice in a row, so a record that wraps around is contiguous too.
//!
//! The consumer's position is published once for many records and not after each one: the kernel
//! wakes us only when we had caught up, so a burst costs one wake-up instead of one per record.

use super::sys::memory::Mapping;
use super::sys::{SysResult, page_size};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// Bytes before each record: u32 length and flags, u32 for the kernel's own use.
const HEADER: u64 = 8;

/// A mapped ring buffer.
pub struct Ring {
    reader: Reader,
    /// Invariant: `reader` points into these two, so they live as long.
    _mappings: [Mapping; 2],
}

impl Ring {
    /// Maps the ring buffer; `size` is its number of data bytes.
    pub fn map(fd: BorrowedFd<'_>, size: u32) -> SysResult<Ring> {
        let page = page_size();
        let consumer = Mapping::new(fd, 0, page, true)?;
        let producer = Mapping::new(fd, page, page + 2 * size as usize, false)?;
        // SAFETY: the kernel's layout: each mapping starts with its position, the data, twice,
        // follow behind the producer's page, and both mappings live as long as the reader.
        let reader = unsafe {
            let data = producer.address().add(page);
            Reader::new(consumer.address().cast(), producer.address().cast(), data, size)
        };
        Ok(Ring { reader, _mappings: [consumer, producer] })
    }

    /// Hands every finished record to `each`, in order, but no more than the buffer holds, so that
    /// a flood cannot keep the caller here.
    pub fn drain(&mut self, each: &mut dyn FnMut(&[u8])) {
        self.reader.drain(each);
    }

    /// Whether a record is ready.
    pub fn has_records(&self) -> bool {
        self.reader.peek().is_some()
    }
}

/// The protocol, over any memory of that shape.
struct Reader {
    consumer: NonNull<AtomicU64>,
    producer: NonNull<AtomicU64>,
    data: NonNull<u8>,
    size: u64,
    position: u64,
    published: u64,
}

// SAFETY: the memory belongs to the process, and `&mut self` keeps the consumer's side single.
unsafe impl Send for Reader {}

/// A record in the buffer.
struct Record {
    start: NonNull<u8>,
    len: usize,
    discarded: bool,
}

impl Reader {
    /// SAFETY: the positions are 8 bytes each, `data` is twice `size` bytes with the same content,
    /// `size` is a power of two, and all three outlive the reader.
    unsafe fn new(
        consumer: NonNull<AtomicU64>,
        producer: NonNull<AtomicU64>,
        data: NonNull<u8>,
        size: u32,
    ) -> Reader {
        // SAFETY: as this function demands.
        let position = unsafe { consumer.as_ref() }.load(Ordering::Relaxed);
        Reader { consumer, producer, data, size: size.into(), position, published: position }
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8])) {
        let limit = self.position + self.size;
        loop {
            let before = self.position;
            while self.position < limit
                && let Some(record) = self.peek()
            {
                if !record.discarded {
                    // SAFETY: the kernel does not touch a finished record before we publish a
                    // position behind it, and `peek` has checked its length.
                    each(unsafe { std::slice::from_raw_parts(record.start.as_ptr(), record.len) });
                }
                self.position += (HEADER + record.len as u64).next_multiple_of(8);
                if self.position - self.published >= self.size / 8 {
                    self.publish();
                }
            }
            self.publish();
            if self.position == before || self.position >= limit {
                return;
            }
            // Either we see a record that was finished before our position was visible, or its
            // producer sees our position and wakes us.
            fence(Ordering::SeqCst);
        }
    }

    fn publish(&mut self) {
        // SAFETY: the memory lives as long as the reader.
        unsafe { self.consumer.as_ref() }.store(self.position, Ordering::Release);
        self.published = self.position;
    }

    /// The next record, if it is finished.
    fn peek(&self) -> Option<Record> {
        // SAFETY: the memory lives as long as the reader.
        let written = unsafe { self.producer.as_ref() }.load(Ordering::Acquire);
        if self.position >= written {
            return None;
        }
        // SAFETY: the offset is below `size`, records are aligned to 8 bytes, and the data are
        // there twice.
        let (header, start) = unsafe {
            let at = self.data.add((self.position & (self.size - 1)) as usize);
            (at.cast::<AtomicU32>().as_ref().load(Ordering::Acquire), at.add(HEADER as usize))
        };
        let len = header & !(BUSY | DISCARDED);
        let finished = header & BUSY == 0 && u64::from(len) <= self.size - HEADER;
        finished.then_some(Record { start, len: len as usize, discarded: header & DISCARDED != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring buffer in plain memory, with the kernel's side played by the test.
    struct Memory {
        consumer: Box<AtomicU64>,
        producer: Box<AtomicU64>,
        data: Vec<u64>,
        size: u64,
    }

    impl Memory {
        fn new(size: u32, position: u64) -> (Memory, Reader) {
            let mut memory = Memory {
                consumer: Box::new(AtomicU64::new(position)),
                producer: Box::new(AtomicU64::new(position)),
                data: vec![0; size as usize / 4],
                size: size.into(),
            };
            let data = NonNull::from(memory.data.as_mut_slice()).cast();
            // SAFETY: the boxes and the vector stay where they are while the reader is used.
            let reader = unsafe {
                Reader::new(NonNull::from(&*memory.consumer), NonNull::from(&*memory.producer), data, size)
            };
            (memory, reader)
        }

        fn byte(&mut self, at: u64, byte: u8) {
            let base = self.data.as_mut_ptr().cast::<u8>();
            for copy in [at % self.size, at % self.size + self.size] {
                // SAFETY: both places are inside the doubled data.
                unsafe { base.add(copy as usize).write(byte) };
            }
        }

        fn push(&mut self, flags: u32, bytes: &[u8]) -> u64 {
            let at = self.producer.load(Ordering::Relaxed);
            let header = u64::from(bytes.len() as u32 | flags).to_le_bytes();
            for (idx, &byte) in header.iter().chain(bytes).enumerate() {
                self.byte(at + idx as u64, byte);
            }
            let end = at + (HEADER + bytes.len() as u64).next_multiple_of(8);
            self.producer.store(end, Ordering::Release);
            at
        }

        fn drain(reader: &mut Reader) -> Vec<Vec<u8>> {
            let mut records = Vec::new();
            reader.drain(&mut |record| records.push(record.to_vec()));
            records
        }
    }

    #[test]
    fn records_come_in_order_across_the_end() {
        let (mut memory, mut reader) = Memory::new(64, 48);
        memory.push(0, b"a record that wraps");
        memory.push(DISCARDED, b"no");
        memory.push(0, b"x");
        assert_eq!(Memory::drain(&mut reader), [b"a record that wraps".to_vec(), b"x".to_vec()]);
        assert_eq!(memory.consumer.load(Ordering::Relaxed), memory.producer.load(Ordering::Relaxed));
        assert!(Memory::drain(&mut reader).is_empty());
    }

    #[test]
    fn an_unfinished_record_holds_back_what_follows() {
        let (mut memory, mut reader) = Memory::new(128, 0);
        memory.push(0, b"first");
        let at = memory.push(BUSY, b"second");
        memory.push(0, b"third");
        assert_eq!(Memory::drain(&mut reader), [b"first"]);
        assert_eq!(memory.consumer.load(Ordering::Relaxed), at);
        assert!(reader.peek().is_none());
        memory.byte(at + 3, 0);
        assert_eq!(Memory::drain(&mut reader), [b"second".to_vec(), b"third".to_vec()]);
    }
}
