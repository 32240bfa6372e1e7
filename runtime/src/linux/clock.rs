//! Wall-clock time and the local zone, from the kernel and the C library.

use crate::clock::{Clock, Zone};
use std::ffi::CStr;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinuxClock;

impl Clock for LinuxClock {
    fn now(&self) -> i64 {
        read(libc::CLOCK_REALTIME)
    }

    fn boot_to_wall(&self) -> i64 {
        wall_minus(libc::CLOCK_BOOTTIME)
    }

    fn tai_to_wall(&self) -> i64 {
        wall_minus(libc::CLOCK_TAI)
    }

    fn zone(&self, seconds: i64) -> Zone {
        // SAFETY: all zeroes is a value of `tm`.
        let mut time: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both are live for the call; the zone's rules are read by the C library.
        let filled = unsafe { libc::localtime_r(&seconds, &mut time) };
        if filled.is_null() || time.tm_zone.is_null() {
            return Zone::utc();
        }
        // SAFETY: the C library points this at a NUL-terminated name that it keeps.
        let name = unsafe { CStr::from_ptr(time.tm_zone) }.to_string_lossy().into_owned();
        Zone { offset: time.tm_gmtoff as i32, name }
    }
}

/// Nanoseconds of one of the kernel's clocks.
pub fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the struct that it is given; a clock that does not exist leaves zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The wall clock less another one. The other one is read before and after, and the tightest of
/// some tries counts, because the process may be interrupted between two readings.
fn wall_minus(clock: libc::clockid_t) -> i64 {
    let tries = (0..5).map(|_| {
        let (before, wall, after) = (read(clock), read(libc::CLOCK_REALTIME), read(clock));
        (after - before, wall - (before + (after - before) / 2))
    });
    tries.min().map_or(0, |(_, difference)| difference)
}
