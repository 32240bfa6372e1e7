//! Static probes in this very program, written as `sys/sdt.h` would: a note in `.note.stapsdt`
//! for a `nop`, with arguments of every width, in registers, in memory and constant.

use std::arch::{asm, global_asm};
use std::hint::black_box;
use std::ptr::addr_of;

// Moves with the program, so that readers can tell whether it was prelinked; and the counter of
// those who listen to `guarded`.
global_asm!(
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat",
    ".weak _.stapsdt.base",
    ".hidden _.stapsdt.base",
    "_.stapsdt.base: .space 1",
    ".size _.stapsdt.base, 1",
    ".popsection",
    ".pushsection .probes,\"aw\",\"progbits\"",
    ".globl suite_guarded_semaphore",
    "suite_guarded_semaphore: .2byte 0",
    ".popsection",
);

unsafe extern "C" {
    static suite_guarded_semaphore: u16;
}

macro_rules! probe {
    ($name:literal, $semaphore:literal, $arguments:literal; $($operands:tt)*) => {
        // SAFETY: a `nop`, and data in a section that is not loaded.
        unsafe {
            asm!(
                "990: nop",
                ".pushsection .note.stapsdt,\"\",\"note\"",
                ".balign 4",
                ".4byte 992f-991f, 994f-993f, 3",
                "991: .asciz \"stapsdt\"",
                "992: .balign 4",
                "993: .8byte 990b",
                ".8byte _.stapsdt.base",
                concat!(".8byte ", $semaphore),
                ".asciz \"suite\"",
                concat!(".asciz \"", $name, "\""),
                concat!(".asciz \"", $arguments, "\""),
                "994: .balign 4",
                ".popsection",
                $($operands)*
                options(att_syntax, nostack),
            )
        }
    };
}

/// Fires each probe `count` times; `guarded` only while somebody listens.
pub fn fire(count: u64) {
    for round in 0..count {
        widths();
        places(round);
        if is_guarded() {
            probe!("guarded", "suite_guarded_semaphore", "8@{0}"; in(reg) round,);
        }
        probe!("twice", "0", "8@{0}"; in(reg) round,);
        probe!("twice", "0", "-4@$-9";);
    }
}

/// Every width, with and without sign: 200, -56, 65534, -2, 4294967293, -3, 2^63, -2^63.
fn widths() {
    probe!(
        "widths", "0", "1@{0} -1@{0} 2@{1:x} -2@{1:x} 4@{2:e} -4@{2:e} 8@{3} -8@{3}";
        in(reg_byte) 200u8, in(reg) 0xabcd_fffeu64, in(reg) 0xabcd_ffff_fffdu64, in(reg) 1u64 << 63,
    );
}

/// Constants and memory: 77, -9, 8 bytes of a table, and 2 of them with an index.
fn places(round: u64) {
    let table: [u64; 3] = black_box([1, 1000 + round, 0xffff_ffff_ffff_fff0]);
    probe!(
        "places", "0", "8@$77 -4@$-9 8@8({0}) -2@({0},{1},8)";
        in(reg) table.as_ptr(), in(reg) 2u64,
    );
}

fn is_guarded() -> bool {
    // SAFETY: the counter is in a writable section of this program; the kernel changes it.
    unsafe { addr_of!(suite_guarded_semaphore).read_volatile() != 0 }
}
