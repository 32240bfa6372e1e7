//! The names of registers and where the context of a probe has them: `struct pt_regs` of x86-64
//! (`arch/x86/include/asm/ptrace.h`) and `struct user_pt_regs` of 64-bit ARM (`uapi/asm/ptrace.h`). Each
//! takes eight bytes.

/// The registers of x86-64 in the order of the context.
const X86_64: [&str; 21] = [
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
    "orig_ax", "ip", "cs", "flags", "sp", "ss",
];

/// Those of 64-bit ARM.
const AARCH64: [&str; 34] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30",
    "sp", "pc", "pstate",
];

/// A machine's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64
    X86_64,
    /// 64-bit ARM
    Aarch64,
}

/// All names on any machine.
pub fn names() -> impl Iterator<Item = &'static str> {
    X86_64.into_iter().chain(AARCH64).chain(["pc"])
}

/// The place of a register in the context; `pc` is the program counter everywhere.
pub fn offset(machine: Machine, name: &str) -> Option<u32> {
    let (registers, name) = match (machine, name) {
        (Machine::X86_64, "pc") => (X86_64.as_slice(), "ip"),
        (Machine::X86_64, name) => (X86_64.as_slice(), name),
        (Machine::Aarch64, name) => (AARCH64.as_slice(), name),
    };
    registers.iter().position(|it| *it == name).map(|idx| 8 * idx as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_their_places() {
        let cases = [
            (Machine::X86_64, "r15", Some(0)),
            (Machine::X86_64, "ax", Some(80)),
            (Machine::X86_64, "di", Some(112)),
            (Machine::X86_64, "ip", Some(128)),
            (Machine::X86_64, "pc", Some(128)),
            (Machine::X86_64, "cs", Some(136)),
            (Machine::X86_64, "sp", Some(152)),
            (Machine::X86_64, "pstate", None),
            (Machine::Aarch64, "r0", Some(0)),
            (Machine::Aarch64, "sp", Some(248)),
            (Machine::Aarch64, "pc", Some(256)),
            (Machine::Aarch64, "ax", None),
        ];
        for (machine, name, expected) in cases {
            assert_eq!(offset(machine, name), expected, "{name}");
        }
    }
}
