//! Arguments of USDT probes, as their notes describe them: `-4@%eax 8@-16(%rbp) 8@$3`.
//!
//! Comes in: the text of a `.note.stapsdt` note. Goes out: for each argument its width and where
//! it is. The form is that of the assembler that built the program: AT&T syntax on x86, and
//! `-4@[sp, 60]` on arm64. Whether a register exists is not asked here.

use serde::{Deserialize, Serialize};

/// An argument: `SIZE@OPERAND`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Argument {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Written with a minus sign.
    pub signed: bool,
    /// Where it is.
    pub operand: Operand,
}

/// Where an argument is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operand {
    /// `$3`
    Constant(i64),
    /// `%eax`, without the percent sign.
    Register(String),
    /// `-16(%rbp)`, `8(%rax,%rcx,4)`
    Memory {
        /// What is added to the registers.
        displacement: i64,
        /// The register that holds the address.
        base: String,
        /// A register that is multiplied and added.
        index: Option<(String, u8)>,
    },
}

/// All arguments of a note. The error says what is not understood.
pub fn arguments(text: &str) -> Result<Vec<Argument>, String> {
    split(text).into_iter().map(argument).collect()
}

/// Cuts at spaces that are not within brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let outside = |it: char| {
        match it {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ => {}
        }
        it.is_ascii_whitespace() && depth == 0
    };
    text.split(outside).filter(|it| !it.is_empty()).collect()
}

fn argument(text: &str) -> Result<Argument, String> {
    let unknown = || format!("`{text}` is not supported yet");
    // Without a size it is that of a machine word.
    let (size, operand) = text.split_once('@').unwrap_or(("8", text));
    let (signed, size) = size.strip_prefix('-').map_or((false, size), |size| (true, size));
    let size = match size {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        // `8f`: a floating-point number.
        _ => return Err(unknown()),
    };
    let operand = operand_of(operand).ok_or_else(unknown)?;
    Ok(Argument { size, signed, operand })
}

fn operand_of(text: &str) -> Option<Operand> {
    if let Some(constant) = text.strip_prefix('$') {
        return number(constant).map(Operand::Constant);
    }
    if let Some(inside) = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        let (base, displacement) = inside.split_once(',').unwrap_or((inside, "0"));
        let displacement = number(displacement.trim().trim_start_matches('#'))?;
        return Some(Operand::Memory { displacement, base: register(base.trim())?, index: None });
    }
    if let Some((displacement, inside)) = text.strip_suffix(')').and_then(|it| it.split_once('(')) {
        let displacement = if displacement.is_empty() { 0 } else { number(displacement)? };
        let mut parts = inside.split(',');
        let base = register(parts.next()?.strip_prefix('%')?)?;
        // A symbol's place would have to be looked up in the file.
        if base == "rip" {
            return None;
        }
        let index = match parts.next() {
            None => None,
            Some(index) => {
                let scale = parts.next().map_or(Some(1), |it| it.parse().ok())?;
                Some((register(index.strip_prefix('%')?)?, scale))
            }
        };
        return parts.next().is_none().then_some(Operand::Memory { displacement, base, index });
    }
    match text.strip_prefix('%') {
        Some(name) => register(name).map(Operand::Register),
        None => number(text).map(Operand::Constant).or_else(|| register(text).map(Operand::Register)),
    }
}

fn register(name: &str) -> Option<String> {
    let plain = name.starts_with(|it: char| it.is_ascii_lowercase());
    (plain && name.bytes().all(|it| it.is_ascii_alphanumeric())).then(|| name.to_owned())
}

/// A decimal or hexadecimal number; constants above the signed range wrap.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { (value as i64).wrapping_neg() } else { value as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(displacement: i64, base: &str, index: Option<(&str, u8)>) -> Operand {
        let index = index.map(|(name, scale)| (name.to_owned(), scale));
        Operand::Memory { displacement, base: base.to_owned(), index }
    }

    #[test]
    fn every_form() {
        let register = |name: &str| Operand::Register(name.to_owned());
        for (text, size, signed, operand) in [
            ("-4@%eax", 4, true, register("eax")),
            ("8@%r15", 8, false, register("r15")),
            ("1@%dl", 1, false, register("dl")),
            ("-4@$5", 4, true, Operand::Constant(5)),
            ("-8@$-9223372036854775808", 8, true, Operand::Constant(i64::MIN)),
            ("8@$18446744073709551615", 8, false, Operand::Constant(-1)),
            ("4@$0x10", 4, false, Operand::Constant(16)),
            ("-4@-20(%rbp)", 4, true, memory(-20, "rbp", None)),
            ("8@(%rdi)", 8, false, memory(0, "rdi", None)),
            ("2@16(%rax,%rcx,4)", 2, false, memory(16, "rax", Some(("rcx", 4)))),
            ("8@(%rax,%rcx)", 8, false, memory(0, "rax", Some(("rcx", 1)))),
            ("%rax", 8, false, register("rax")),
            ("-4@[sp, 60]", 4, true, memory(60, "sp", None)),
            ("8@[x0]", 8, false, memory(0, "x0", None)),
            ("8@x3", 8, false, register("x3")),
            ("4@12", 4, false, Operand::Constant(12)),
        ] {
            assert_eq!(arguments(text), Ok(vec![Argument { size, signed, operand }]), "{text}");
        }
    }

    #[test]
    fn several_and_none() {
        assert_eq!(arguments(""), Ok(Vec::new()));
        let sizes = arguments("-4@[sp, 60] 8@%rax  1@$1").map(|it| it.iter().map(|it| it.size).collect());
        assert_eq!(sizes, Ok(vec![4, 8, 1]));
    }

    #[test]
    fn others_are_named() {
        for text in
            ["8f@%xmm0", "8@counter(%rip)", "3@%eax", "8@(%rax,%rcx,4,5)", "8@%", "@", "8@)", "8@(", "["]
        {
            let error = arguments(text).expect_err(text);
            assert_eq!(error, format!("`{text}` is not supported yet"));
        }
    }
}
