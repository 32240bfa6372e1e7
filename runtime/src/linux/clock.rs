//! The machine's clocks and its time zone, asked of the C library.

use crate::clock::{Clock, Zone};
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// The running machine's time. How the clocks differ is asked once: a wall clock that is set
/// later does not move timestamps against each other.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    boot_to_wall: i64,
    tai_to_wall: i64,
}

impl SystemClock {
    /// Reads how the clocks differ now.
    pub fn new() -> Self {
        let wall = nanoseconds(libc::CLOCK_REALTIME);
        SystemClock {
            boot_to_wall: wall - nanoseconds(libc::CLOCK_BOOTTIME),
            // Whole seconds by definition; what is more comes from reading one after the other.
            tai_to_wall: (wall - nanoseconds(libc::CLOCK_TAI) + SECOND / 2).div_euclid(SECOND) * SECOND,
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        nanoseconds(libc::CLOCK_REALTIME)
    }

    fn boot_to_wall(&self) -> i64 {
        self.boot_to_wall
    }

    fn tai_to_wall(&self) -> i64 {
        self.tai_to_wall
    }

    fn zone(&self, seconds: i64) -> Zone {
        let mut local = MaybeUninit::uninit();
        // SAFETY: both pointers are valid for the call, which fills `local` unless it returns null.
        let found = unsafe { libc::localtime_r(&seconds, local.as_mut_ptr()) };
        if found.is_null() {
            return Zone::utc();
        }
        // SAFETY: the call succeeded, so `local` is filled.
        let local = unsafe { local.assume_init() };
        if local.tm_zone.is_null() {
            return Zone { offset: local.tm_gmtoff as i32, ..Zone::utc() };
        }
        // SAFETY: `tm_zone` is a NUL-terminated string that the C library keeps until the zone is
        // set anew, which only a change of `TZ` and another call on this one thread could do.
        let name = unsafe { CStr::from_ptr(local.tm_zone) };
        Zone { offset: local.tm_gmtoff as i32, name: name.to_string_lossy().into_owned() }
    }
}

/// A clock's reading in nanoseconds.
pub fn nanoseconds(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call. These clocks exist on every supported kernel; were one
    // missing, `time` would stay zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec * SECOND + time.tv_nsec
}
