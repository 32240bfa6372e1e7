//! capget(2) and capset(2): the capabilities of this thread.

use super::{SysResult, checked};

/// A set of capabilities, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    /// The set of these numbers.
    pub const fn of(numbers: &[u32]) -> Set {
        let (mut bits, mut at) = (0, 0);
        while at < numbers.len() {
            bits |= 1 << numbers[at];
            at += 1;
        }
        Set(bits)
    }

    /// Whether all of `other` are in it.
    pub fn contains(self, other: Set) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both have.
    fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }
}

/// The header that both calls take: version 3, this thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Half of each set: numbers below 32, then the others.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const THIS_THREAD: Header = Header { version: 0x2008_0522, pid: 0 };

fn read() -> SysResult<[Half; 2]> {
    let (mut header, mut halves) = (THIS_THREAD, [Half::default(); 2]);
    // SAFETY: version 3 of the call fills two halves; both live for the call.
    let res = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    checked("capget", res)?;
    Ok(halves)
}

/// The capabilities that are in force.
pub fn effective() -> SysResult<Set> {
    let [low, high] = read()?;
    Ok(Set(u64::from(high.effective) << 32 | u64::from(low.effective)))
}

/// Gives up all others, for good, in this thread and those that it will start.
pub fn keep_only(kept: Set) -> SysResult<()> {
    let [low, high] = read()?;
    let permitted = Set(u64::from(high.permitted) << 32 | u64::from(low.permitted)).and(kept);
    let half = |bits: u64| Half { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let (mut header, halves) = (THIS_THREAD, [half(permitted.0), half(permitted.0 >> 32)]);
    // SAFETY: version 3 of the call reads two halves; both live for the call.
    let res = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    checked("capset", res)?;
    // SAFETY: the call takes plain numbers.
    let res = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    checked("prctl", res.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let both = Set::of(&[1, 39]);
        assert_eq!(both, Set(1 << 39 | 2));
        assert!(both.contains(Set::of(&[39])) && !both.contains(Set::of(&[1, 2])));
        assert!(both.contains(Set::default()));
    }
}
