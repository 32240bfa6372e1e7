//! Registers by their names in assembly: where `struct pt_regs` (x86-64) or `struct user_pt_regs`
//! (arm64) has them.

use crate::target::Arch;

/// The 64-bit registers of x86-64 in the order of `struct pt_regs`; two between are not registers.
const X86_64: [&str; 20] = [
    "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "", "ip",
    "", "", "sp",
];

/// The offset of the register that a name is or is part of, and how many bits of it are below the
/// part.
pub fn find(arch: Arch, name: &str) -> Option<(i32, u8)> {
    match arch {
        Arch::X86_64 => x86_64(name),
        Arch::Aarch64 => aarch64(name).map(|offset| (offset, 0)),
    }
}

fn x86_64(name: &str) -> Option<(i32, u8)> {
    let find = |whole: &str| {
        let place = X86_64.iter().position(|it| !it.is_empty() && *it == whole)?;
        Some(8 * place as i32)
    };
    // r8 to r15 have suffixes for their parts: r8d, r8w, r8b.
    let numbered = name.strip_suffix(['d', 'w', 'b']).unwrap_or(name);
    if numbered.starts_with('r') && numbered[1..].bytes().all(|it| it.is_ascii_digit()) {
        return Some((find(numbered)?, 0));
    }
    let whole = name.strip_prefix(['r', 'e']).unwrap_or(name);
    if let Some(offset) = find(whole).filter(|_| !whole.starts_with('r')) {
        return Some((offset, 0));
    }
    // al, ah; sil, dil, bpl, spl.
    let low = name.strip_suffix('l');
    let second = name.strip_suffix('h').filter(|it| matches!(*it, "a" | "b" | "c" | "d"));
    match (low, second) {
        (Some(letter @ ("a" | "b" | "c" | "d")), _) => Some((find(&format!("{letter}x"))?, 0)),
        (Some(part), _) => Some((find(part)?, 0)),
        (None, Some(letter)) => Some((find(&format!("{letter}x"))?, 8)),
        (None, None) => None,
    }
}

fn aarch64(name: &str) -> Option<i32> {
    let number = |name: &str| name.parse().ok().filter(|it| (0..=30).contains(it)).map(|it: i32| 8 * it);
    match name {
        "sp" => Some(248),
        "pc" => Some(256),
        _ => number(name.strip_prefix(['x', 'w'])?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name() {
        for (name, offset, shift) in [
            ("rax", 80, 0),
            ("eax", 80, 0),
            ("ax", 80, 0),
            ("al", 80, 0),
            ("ah", 80, 8),
            ("rbx", 40, 0),
            ("bh", 40, 8),
            ("rbp", 32, 0),
            ("bpl", 32, 0),
            ("rsp", 152, 0),
            ("rsi", 104, 0),
            ("sil", 104, 0),
            ("edi", 112, 0),
            ("dil", 112, 0),
            ("rip", 128, 0),
            ("r8", 72, 0),
            ("r8d", 72, 0),
            ("r15w", 0, 0),
            ("r10b", 56, 0),
        ] {
            assert_eq!(find(Arch::X86_64, name), Some((offset, shift)), "{name}");
        }
        for name in ["xmm0", "", "r16", "rr8", "q", "l", "h", "sih", "r"] {
            assert_eq!(find(Arch::X86_64, name), None, "{name}");
        }
        for (name, offset) in
            [("x0", Some(0)), ("w30", Some(240)), ("sp", Some(248)), ("x31", None), ("d0", None)]
        {
            assert_eq!(find(Arch::Aarch64, name), offset.map(|it| (it, 0)), "{name}");
        }
    }
}
