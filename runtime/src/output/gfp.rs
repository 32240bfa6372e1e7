//! Names of the kernel's allocation flags, for `%gr`.
//!
//! The bits are those of Linux 6.10 and later (`include/linux/gfp_types.h`).

/// Combinations that have a name, those with more bits first.
const COMBINED: &[(u64, &str)] = &[
    (0x10_0cc2, "GFP_HIGHUSER"),
    (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
    (0x10_0cc0, "GFP_USER"),
    (0xcc0, "GFP_KERNEL"),
    (0xc40, "GFP_NOFS"),
    (0xc00, "GFP_NOIO"),
    (0x2800, "GFP_NOWAIT"),
    (0x820, "GFP_ATOMIC"),
];

/// Single flags, by bit.
const SINGLE: &[(u32, &str)] = &[
    (0, "GFP_DMA"),
    (1, "__GFP_HIGHMEM"),
    (2, "GFP_DMA32"),
    (3, "__GFP_MOVABLE"),
    (4, "__GFP_RECLAIMABLE"),
    (5, "__GFP_HIGH"),
    (6, "__GFP_IO"),
    (7, "__GFP_FS"),
    (8, "__GFP_ZERO"),
    (10, "__GFP_DIRECT_RECLAIM"),
    (11, "__GFP_KSWAPD_RECLAIM"),
    (12, "__GFP_WRITE"),
    (13, "__GFP_NOWARN"),
    (14, "__GFP_RETRY_MAYFAIL"),
    (15, "__GFP_NOFAIL"),
    (16, "__GFP_NORETRY"),
    (17, "__GFP_MEMALLOC"),
    (18, "__GFP_COMP"),
    (19, "__GFP_NOMEMALLOC"),
    (20, "__GFP_HARDWALL"),
    (21, "__GFP_THISNODE"),
    (22, "__GFP_ACCOUNT"),
    (23, "__GFP_ZEROTAGS"),
    (24, "__GFP_SKIP_ZERO"),
    (25, "__GFP_SKIP_KASAN"),
    (26, "__GFP_NO_OBJ_EXT"),
];

/// The flags by name, joined with `|`: the largest combination, then what is left by single
/// flags, then unknown bits in hexadecimal.
pub(super) fn names(flags: u64) -> String {
    let mut left = flags;
    let mut names = Vec::new();
    if let Some((bits, name)) = COMBINED.iter().find(|(bits, _)| flags & bits == *bits) {
        names.push((*name).to_owned());
        left &= !bits;
    }
    for (bit, name) in SINGLE.iter().filter(|(bit, _)| flags >> bit & 1 == 1) {
        if left >> bit & 1 == 1 {
            names.push((*name).to_owned());
            left &= !(1 << bit);
        }
    }
    if left != 0 || names.is_empty() {
        names.push(if left == 0 { "0".to_owned() } else { format!("{left:#x}") });
    }
    names.join("|")
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn combinations_come_first_then_single_flags_then_bits() {
        for (flags, expected) in [
            (0x0, "0"),
            (0xdc0, "GFP_KERNEL|__GFP_ZERO"),
            (0x820, "GFP_ATOMIC"),
            (0xcc1, "GFP_KERNEL|GFP_DMA"),
            (0x8000_0000, "0x80000000"),
            (0x2cc0, "GFP_KERNEL|__GFP_NOWARN"),
            (0x5_2cc0, "GFP_KERNEL|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP"),
            (0x40_0dc0, "GFP_KERNEL_ACCOUNT|__GFP_ZERO"),
            (0x800, "__GFP_KSWAPD_RECLAIM"),
            (0x10_0cca, "GFP_HIGHUSER|__GFP_MOVABLE"),
        ] {
            assert_eq!(names(flags), expected, "{flags:#x}");
        }
    }
}
