//! BTF into C: definitions of structs, unions and enums, and declarations of arguments.
//!
//! Comes in: a file of BTF and ids. Goes out: C as the kernel's sources would have it, with typedef
//! names kept. Padding and attributes of layout are not shown.

use super::Btf;
use super::record::{Enumerator, Kind, Member, Record};
use std::fmt::Write;

/// Deeper nesting only happens in damaged files.
const MAX_DEPTH: u32 = 64;

/// The definition of a struct, union or enum, without a final line end: `struct x { … };`.
pub fn definition(btf: &Btf, record: &Record) -> String {
    let printer = Printer { btf, tight: true };
    match record.kind() {
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => printer.body(record, 0, MAX_DEPTH) + ";",
        _ => printer.declarator(record.id(), String::new(), 0, MAX_DEPTH) + ";",
    }
}

/// A declaration of a variable: `const char *name`.
pub fn declaration(btf: &Btf, ty: u32, name: &str) -> String {
    Printer { btf, tight: true }.declarator(ty, name.to_owned(), 0, MAX_DEPTH)
}

/// The same with a pointer's star set apart, as arguments are listed: `const char * name`.
pub fn argument(btf: &Btf, ty: u32, name: &str) -> String {
    Printer { btf, tight: false }.declarator(ty, name.to_owned(), 0, MAX_DEPTH)
}

struct Printer<'a> {
    btf: &'a Btf,
    /// No space between a star and the name.
    tight: bool,
}

impl Printer<'_> {
    /// Wraps `inner`, the name with what already binds to it, in what `id` adds: from the name
    /// outwards, as C declarators are read.
    fn declarator(&self, id: u32, inner: String, level: usize, depth: u32) -> String {
        let (Some(record), Some(depth)) = (self.btf.record(id), depth.checked_sub(1)) else {
            return join("void", &inner);
        };
        let target = record.target();
        match record.kind() {
            Kind::Pointer => {
                let kind = self.btf.record(target).map(|it| it.kind());
                let inner = if matches!(kind, Some(Kind::Array | Kind::Prototype)) {
                    format!("(*{inner})")
                } else if inner.is_empty() || (self.tight && !needs_space(&inner)) || inner.starts_with('*') {
                    format!("*{inner}")
                } else {
                    format!("* {inner}")
                };
                self.declarator(target, inner, level, depth)
            }
            Kind::Const | Kind::Volatile | Kind::Restrict => {
                self.qualified(qualifier(record.kind()), target, inner, level, depth)
            }
            Kind::TypeTag | Kind::DeclarationTag => self.declarator(target, inner, level, depth),
            Kind::Array => {
                let (of, len) = record.array();
                self.declarator(of, format!("{inner}[{len}]"), level, depth)
            }
            Kind::Prototype => {
                let parameters = self.parameters(&record, depth);
                self.declarator(target, format!("{inner}({parameters})"), level, depth)
            }
            _ => join(&self.name(&record, level, depth), &inner),
        }
    }

    /// A qualifier stands before the type, except a pointer's, which stands before the name.
    fn qualified(&self, qualifier: &str, target: u32, inner: String, level: usize, depth: u32) -> String {
        if self.btf.record(target).is_some_and(|it| it.kind() == Kind::Pointer) {
            self.declarator(target, join(qualifier, &inner), level, depth)
        } else {
            let text = self.declarator(target, inner, level, depth);
            // An array of constants is constant itself, which C says only once.
            if text.starts_with(qualifier) { text } else { format!("{qualifier} {text}") }
        }
    }

    fn parameters(&self, prototype: &Record, depth: u32) -> String {
        let list: Vec<String> = prototype
            .parameters()
            .map(|it| match it.ty {
                0 => "...".to_owned(),
                ty => self.declarator(ty, self.btf.string(it.name_offset).to_owned(), 0, depth),
            })
            .collect();
        if list.is_empty() { "void".to_owned() } else { list.join(", ") }
    }

    /// A type's name with its keyword; an anonymous one is written out in place.
    fn name(&self, record: &Record, level: usize, depth: u32) -> String {
        match (keyword(record), record.name()) {
            (Some(_), "") => self.body(record, level, depth),
            (Some(keyword), name) => format!("{keyword} {name}"),
            (None, name) => name.to_owned(),
        }
    }

    fn body(&self, record: &Record, level: usize, depth: u32) -> String {
        let mut out = join(keyword(record).unwrap_or_default(), record.name());
        out.push_str(" {");
        let indent = "\t".repeat(level);
        let mut line = |text: String| write!(out, "\n{indent}\t{text}").expect("strings take any text");
        if matches!(record.kind(), Kind::Enum | Kind::Enum64) {
            record.enumerators().for_each(|it| line(self.enumerator(&it)));
        } else {
            record.members().for_each(|it| line(self.member(&it, level + 1, depth)));
        }
        if out.ends_with('{') { out + "}" } else { format!("{out}\n{indent}}}") }
    }

    fn enumerator(&self, it: &Enumerator) -> String {
        format!("{} = {},", self.btf.string(it.name_offset), it.value)
    }

    fn member(&self, member: &Member, level: usize, depth: u32) -> String {
        let name = self.btf.string(member.name_offset).to_owned();
        let text = self.declarator(member.ty, name, level, depth);
        match self.btf.bit_field(member) {
            Some((_, width)) => format!("{text}: {width};"),
            None => format!("{text};"),
        }
    }
}

fn keyword(record: &Record) -> Option<&'static str> {
    match record.kind() {
        Kind::Struct => Some("struct"),
        Kind::Union => Some("union"),
        Kind::Forward => Some(if record.flag() { "union" } else { "struct" }),
        Kind::Enum | Kind::Enum64 => Some("enum"),
        _ => None,
    }
}

fn qualifier(kind: Kind) -> &'static str {
    match kind {
        Kind::Volatile => "volatile",
        Kind::Restrict => "restrict",
        _ => "const",
    }
}

/// Whether a star before this would be hard to read.
fn needs_space(inner: &str) -> bool {
    inner.starts_with('(')
        || ["const ", "volatile ", "restrict "].iter().any(|it| inner.starts_with(it))
        || matches!(inner, "const" | "volatile" | "restrict")
}

fn join(before: &str, inner: &str) -> String {
    if before.is_empty() || inner.is_empty() || inner.starts_with('[') {
        format!("{before}{inner}")
    } else {
        format!("{before} {inner}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::Encoder;
    use super::*;

    #[test]
    fn declares_as_c_does() {
        let mut btf = Encoder::new();
        let char = btf.int("char", 1, 1);
        let const_char = btf.wrap(Kind::Const, char);
        let text = btf.wrap(Kind::Pointer, const_char);
        let const_text = btf.wrap(Kind::Const, text);
        let texts = btf.wrap(Kind::Pointer, const_text);
        let name = btf.array(char, 16);
        let name_pointer = btf.wrap(Kind::Pointer, name);
        let node = btf.forward("node", false);
        let node = btf.wrap(Kind::Pointer, node);
        let function = btf.prototype(node, &[("", text), ("", 0)]);
        let function = btf.wrap(Kind::Pointer, function);
        let anything = btf.wrap(Kind::Pointer, 0);
        let btf = btf.finish("vmlinux", None);
        for (ty, expected) in [
            (char, "char x"),
            (text, "const char *x"),
            (texts, "const char * const *x"),
            (name, "char x[16]"),
            (name_pointer, "char (*x)[16]"),
            (function, "struct node * (*x)(const char *, ...)"),
            (anything, "void *x"),
        ] {
            assert_eq!(declaration(&btf, ty, "x"), expected);
        }
        assert_eq!(argument(&btf, text, "x"), "const char * x");
        assert_eq!(argument(&btf, texts, "x"), "const char * const * x");
        assert_eq!(argument(&btf, name, "x"), "char x[16]");
    }

    #[test]
    fn defines_with_members_in_place() {
        let mut btf = Encoder::new();
        let int = btf.int("int", 4, 1);
        let either = btf.union("", 4, &[("one", int, 0), ("other", int, 0)]);
        let flags = btf.structure_with_bits("", 4, &[("low", int, 3 << 24), ("rest", int, 29 << 24 | 3)]);
        let state = btf.enumeration("state", &[("DOWN", -1), ("UP", 1)]);
        let all = btf.structure(
            "all",
            16,
            &[("", either, 0), ("flags", flags, 32), ("state", state, 64), ("x", int, 96)],
        );
        let empty = btf.structure("empty", 0, &[]);
        let btf = btf.finish("vmlinux", None);
        let print = |id| definition(&btf, &btf.record(id).unwrap());
        let expected = "struct all {\n\tunion {\n\t\tint one;\n\t\tint other;\n\t};\n\
            \tstruct {\n\t\tint low: 3;\n\t\tint rest: 29;\n\t} flags;\n\
            \tenum state state;\n\tint x;\n};";
        assert_eq!(print(all), expected);
        assert_eq!(print(state), "enum state {\n\tDOWN = -1,\n\tUP = 1,\n};");
        assert_eq!(print(empty), "struct empty {};");
    }
}
