//! The `printf` engine: flags, width, precision and length modifiers as in C.
//!
//! Comes in: a parsed format and decoded arguments. Goes out: bytes. A conversion that finds no
//! argument prints as if the argument were empty; the front end has counted them, so this
//! happens to damaged records only.

use super::gfp;
use super::text;
use crate::value::Value;
use lang::hir::{Conversion, Format, Piece, Width};

/// Widths and precisions beyond this are cut to it: a script's mistake must not eat the memory.
const MOST: usize = 65_536;

/// Appends the formatted text.
pub fn printf(out: &mut Vec<u8>, format: &Format, args: &[Value], trailer: &str) {
    let mut args = args.iter();
    for piece in &format.pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Conversion(conversion) => {
                let shape = Shape::new(conversion, &mut args);
                let value = args.next().unwrap_or(&EMPTY);
                shape.convert(out, conversion, value, trailer);
            }
        }
    }
}

static EMPTY: Value = Value::Buf(Vec::new());

/// A conversion's flags and numbers, with the `*` ones filled in.
struct Shape {
    left: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Shape {
    fn new<'a>(conversion: &Conversion, args: &mut impl Iterator<Item = &'a Value>) -> Self {
        let mut number = |width| match width {
            Width::None => 0,
            Width::Fixed(n) => i64::from(n),
            Width::Argument => i64::from(args.next().map_or(0, Value::bits) as i32),
        };
        let width = number(conversion.width);
        let precision = conversion.precision.map(&mut number);
        let limit = |n: u64| n.min(MOST as u64) as usize;
        Shape {
            // A negative width means `-`; a negative precision means none.
            left: conversion.left || width < 0,
            zero: conversion.zero,
            width: limit(width.unsigned_abs()),
            precision: precision.and_then(|n| u64::try_from(n).ok()).map(limit),
        }
    }

    fn convert(&self, out: &mut Vec<u8>, conversion: &Conversion, value: &Value, trailer: &str) {
        match conversion.letter.as_str() {
            "d" | "i" => self.signed(out, conversion, value),
            "u" => self.unsigned(out, conversion, value, 10, ""),
            "o" => self.unsigned(out, conversion, value, 8, ""),
            "x" => self.unsigned(out, conversion, value, 16, "0x"),
            "X" => self.unsigned(out, conversion, value, 16, "0X"),
            "p" => {
                let pointer = Conversion { alternate: true, length: 8, ..conversion.clone() };
                self.unsigned(out, &pointer, value, 16, "0x");
            }
            "c" => self.text(out, &[value.bits() as u8]),
            "gr" => self.text(out, gfp::names(value.bits()).as_bytes()),
            "r" => self.text(out, &text::escaped(&bytes(value))),
            "rx" => self.text(out, &hexadecimal(&bytes(value), "\\x", "")),
            "rh" => self.text(out, &hexadecimal(&bytes(value), "", " ")),
            _ => {
                let mut plain = Vec::new();
                text::value(&mut plain, value, trailer);
                plain.truncate(self.precision.unwrap_or(usize::MAX));
                self.text(out, &plain);
            }
        }
    }

    fn signed(&self, out: &mut Vec<u8>, conversion: &Conversion, value: &Value) {
        let unused = 64 - 8 * u32::from(conversion.length.clamp(1, 8));
        let number = (value.bits() << unused) as i64 >> unused;
        let sign = match number {
            ..0 => "-",
            _ if conversion.plus => "+",
            _ if conversion.space => " ",
            _ => "",
        };
        let digits = if number == 0 { self.zero_digits() } else { number.unsigned_abs().to_string() };
        self.number(out, sign, digits);
    }

    /// Zero has no digits at all when the precision is 0.
    fn zero_digits(&self) -> String {
        if self.precision == Some(0) { String::new() } else { "0".to_owned() }
    }

    fn unsigned(&self, out: &mut Vec<u8>, conversion: &Conversion, value: &Value, base: u8, prefix: &str) {
        let unused = 64 - 8 * u32::from(conversion.length.clamp(1, 8));
        let number = value.bits() << unused >> unused;
        let mut digits = match (base, prefix) {
            _ if number == 0 => self.zero_digits(),
            (8, _) => format!("{number:o}"),
            (16, "0X") => format!("{number:X}"),
            (16, _) => format!("{number:x}"),
            _ => number.to_string(),
        };
        let padded = self.precision.is_some_and(|precision| precision > digits.len());
        if conversion.alternate && base == 8 && !digits.starts_with('0') && !padded {
            digits.insert(0, '0');
        }
        let prefix = if conversion.alternate && number != 0 { prefix } else { "" };
        self.number(out, prefix, digits);
    }

    /// Sign or prefix and digits, filled up to the precision and the width.
    fn number(&self, out: &mut Vec<u8>, prefix: &str, digits: String) {
        let room = self.width.saturating_sub(prefix.len());
        let least = match self.precision {
            Some(precision) => precision,
            None if self.zero && !self.left => room,
            None => 0,
        };
        let zeros = least.saturating_sub(digits.len());
        let blanks = room.saturating_sub(zeros + digits.len());
        let (before, behind) = if self.left { (0, blanks) } else { (blanks, 0) };
        fill(out, b' ', before);
        out.extend_from_slice(prefix.as_bytes());
        fill(out, b'0', zeros);
        out.extend_from_slice(digits.as_bytes());
        fill(out, b' ', behind);
    }

    /// Text, filled up to the width. C leaves `0` open here; bpftrace fills with zeros.
    fn text(&self, out: &mut Vec<u8>, text: &[u8]) {
        let blanks = self.width.saturating_sub(text.len());
        if self.left {
            out.extend_from_slice(text);
            fill(out, b' ', blanks);
        } else {
            fill(out, if self.zero { b'0' } else { b' ' }, blanks);
            out.extend_from_slice(text);
        }
    }
}

fn fill(out: &mut Vec<u8>, byte: u8, n: usize) {
    out.resize(out.len() + n, byte);
}

/// The bytes of a buffer, a string, an address or an array of bytes.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Buf(bytes) | Value::Str { bytes, .. } | Value::Address { bytes, .. } => bytes.clone(),
        Value::Array(items) => items.iter().map(|it| it.bits() as u8).collect(),
        _ => Vec::new(),
    }
}

fn hexadecimal(bytes: &[u8], before: &str, between: &str) -> Vec<u8> {
    bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect::<Vec<_>>().join(between).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lang::hir::Width;

    /// Takes a conversion apart as the front end does; enough for these tables.
    fn conversion(spec: &str) -> Conversion {
        let flags_end = spec.find(|c| !"-+ #0".contains(c)).unwrap();
        let (flags, rest) = spec.split_at(flags_end);
        let width = |text: &str| match text {
            "" => Width::None,
            "*" => Width::Argument,
            n => Width::Fixed(n.parse().unwrap()),
        };
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '*').unwrap();
        let (wide, mut rest) = rest.split_at(number_end);
        let mut precision = None;
        if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(|c: char| !c.is_ascii_digit() && c != '*').unwrap();
            precision = Some(width(&behind[..end]));
            rest = &behind[end..];
        }
        let letters = ["hh", "h", "ll", "l", "z", "j", "t"];
        let length = letters.into_iter().find(|&length| rest.starts_with(length)).unwrap_or("");
        Conversion {
            left: flags.contains('-'),
            plus: flags.contains('+'),
            space: flags.contains(' '),
            alternate: flags.contains('#'),
            zero: flags.contains('0'),
            width: width(wide),
            precision,
            length: match length {
                "hh" => 1,
                "h" => 2,
                "" => 4,
                _ => 8,
            },
            letter: rest[length.len()..].to_owned(),
        }
    }

    fn check(spec: &str, args: &[Value], expected: &str) {
        let pieces = vec![Piece::Conversion(conversion(spec)), Piece::Text("|".to_owned())];
        let mut out = Vec::new();
        printf(&mut out, &Format { pieces }, args, "..");
        assert_eq!(String::from_utf8_lossy(&out), format!("{expected}|"), "%{spec} of {args:?}");
    }

    fn int(n: i64) -> Value {
        Value::Int(n, 8)
    }

    #[test]
    fn integers_are_formatted_as_in_c() {
        // What glibc prints for the same format and argument.
        for (spec, n, expected) in C_RESULTS {
            check(spec, &[int(*n)], expected);
        }
    }

    const C_RESULTS: &[(&str, i64, &str)] = include!("printf/c_results.in");

    #[test]
    fn lengths_cut_integers() {
        for (spec, n, expected) in [
            ("d", 0xff_ffff_ffff, "-1"),
            ("u", -1, "4294967295"),
            ("hhd", 300, "44"),
            ("hd", 70_000, "4464"),
            ("ld", -1, "-1"),
            ("zu", -1, "18446744073709551615"),
            ("llx", -1, "ffffffffffffffff"),
            ("hhx", 511, "ff"),
            ("hu", -1, "65535"),
        ] {
            check(spec, &[int(n)], expected);
        }
    }

    #[test]
    fn stars_take_arguments() {
        check("*d", &[int(5), int(1)], "    1");
        check("*d", &[int(-5), int(1)], "1    ");
        check(".*d", &[int(3), int(7)], "007");
        check(".*d", &[int(-3), int(7)], "7");
        check("*.*s", &[int(5), int(2), Value::text(*b"abc")], "   ab");
        check("*d", &[int(i64::from(i32::MIN)), int(7)], &format!("7{}", " ".repeat(MOST - 1)));
    }

    #[test]
    fn text_is_anything_printable() {
        let tuple = Value::Tuple(vec![int(1), Value::text(*b"a"), Value::Tuple(vec![int(2), int(3)])]);
        let cut = Value::Str { bytes: b"/etc/debian_vers".to_vec(), cut: true };
        for (spec, value, expected) in [
            ("s", int(-5), "-5"),
            ("10s", int(77), "        77"),
            ("-6s", Value::Bool(true), "true  "),
            ("s", tuple.clone(), "(1, a, (2, 3))"),
            ("20s", tuple, "      (1, a, (2, 3))"),
            ("25s", cut, "       /etc/debian_vers.."),
            ("10s", Value::text(*b"abc"), "       abc"),
            ("-10s", Value::text(*b"abc"), "abc       "),
            (".2s", Value::text(*b"abc"), "ab"),
            ("05s", Value::text(*b"a"), "0000a"),
            ("5s", Value::Enum(1, Some("A".to_owned())), "    A"),
            ("d", Value::Enum(5, Some("B".to_owned())), "5"),
            ("d", Value::Bool(true), "1"),
            ("x", Value::Pointer(255), "ff"),
            ("s", Value::Text("vfs_read".to_owned()), "vfs_read"),
            ("s", Value::Stack(vec!["        a+1".to_owned()]), "\n        a+1\n"),
        ] {
            check(spec, &[value], expected);
        }
    }

    #[test]
    fn pointers_and_characters() {
        for (spec, n, expected) in [
            ("p", 4096, "0x1000"),
            ("p", 0, "0"),
            ("20p", 11, "                 0xb"),
            ("-20p", 12, "0xc                 "),
            ("p", -1, "0xffffffffffffffff"),
            ("c", 65, "A"),
            ("c", 0x141, "A"),
            ("c", 0, "\0"),
            ("5c", 65, "    A"),
            ("-5c", 65, "A    "),
        ] {
            check(spec, &[int(n)], expected);
        }
    }

    #[test]
    fn buffers() {
        let buf = |bytes: &[u8]| Value::Buf(bytes.to_vec());
        for (spec, value, expected) in [
            ("r", buf(b"a\x01"), "a\\x01"),
            ("rx", buf(b"a\x01"), "\\x61\\x01"),
            ("rh", buf(b"a\x01"), "61 01"),
            ("r", buf(b"a\x01\\\"z\xff"), "a\\x01\\\"z\\xff"),
            ("20r", buf(b"a"), "                   a"),
            ("-10rx", buf(b"ab"), "\\x61\\x62  "),
            ("10rh", buf(b"ab"), "     61 62"),
            ("s", buf(b"hi\x01"), "hi\\x01"),
            ("rh", buf(b""), ""),
            ("rh", Value::Array(vec![Value::Uint(1, 1), Value::Int(-1, 1)]), "01 ff"),
            ("rh", Value::Address { text: "1.2.3.4".to_owned(), bytes: vec![1, 2, 3, 4] }, "01 02 03 04"),
        ] {
            check(spec, &[value], expected);
        }
    }

    #[test]
    fn allocation_flags_are_named() {
        for (flags, expected) in [
            (0xcc0, "GFP_KERNEL"),
            (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
            (0xdc0, "GFP_KERNEL|__GFP_ZERO"),
            (0, "0"),
        ] {
            check("gr", &[int(flags)], expected);
        }
    }

    #[test]
    fn missing_arguments_are_empty() {
        check("d", &[], "0");
        check("5s", &[], "     ");
    }
}
