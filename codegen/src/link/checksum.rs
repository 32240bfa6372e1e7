//! The checksum that tells a damaged object from a whole one: loaders trust what they read.
//!
//! Comes in: an object file with eight bytes set aside for it. Goes out: the checksum in their place,
//! or whether it is right. It is over the whole file, so that any changed byte shows.

use std::ops::Range;

/// Bytes that the checksum takes.
pub const SIZE: usize = 8;

/// Writes the checksum to its place.
pub fn seal(file: &mut [u8], place: Range<usize>) {
    let sum = sum(file, &place);
    if let Some(bytes) = file.get_mut(place).and_then(|it| it.first_chunk_mut()) {
        *bytes = sum.to_le_bytes();
    }
}

/// Whether the checksum at that place is right.
pub fn is_right(file: &[u8], place: Range<usize>) -> bool {
    file.get(place.clone()).is_some_and(|it| *it == sum(file, &place).to_le_bytes())
}

/// FNV-1a, with zeros in place of the checksum. Each step can be undone, so that files of one length
/// that differ in one byte have different sums.
fn sum(file: &[u8], place: &Range<usize>) -> u64 {
    let bytes = file.iter().enumerate().map(|(at, byte)| if place.contains(&at) { 0 } else { *byte });
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_shows() {
        let mut file = *b"an object with ........ in it";
        let place = 15..23;
        seal(&mut file, place.clone());
        assert!(is_right(&file, place.clone()));
        for at in 0..file.len() {
            let mut damaged = file;
            damaged[at] ^= 0x10;
            assert!(!is_right(&damaged, place.clone()), "byte {at}");
        }
        assert!(!is_right(&file, 25..33));
    }
}
