//! Tracepoint `format` files: text in, a struct of the type table out.
//!
//! The grammar is `tracefs.pest` beside this file. Structs that a record only points to come out
//! by name alone; the kernel's types define them.

use crate::hir::Config;
use crate::sema::integer;
use crate::ty::{Field, IntTy, Origin, Space, StructDef, StructId, Ty, TypeTable};
use grammar::{Grammar, Rule};
use pest::Parser;
use pest::iterators::Pair;

mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "tracefs.pest"]
    pub(super) struct Grammar;
}

/// Bytes of the `common_*` fields that every record starts with. Scripts do not see them.
const COMMON: u32 = 8;

/// Words of a declaration that say nothing about its type here.
const QUALIFIERS: [&str; 6] = ["const", "volatile", "__user", "__rcu", "signed", "__percpu"];

/// Reads a `format` file. The struct is named `tracepoint:CATEGORY:EVENT`, its fields are those
/// behind the eight bytes of `common_*` ones. `Err` says what could not be read.
///
/// A `char name[N]` is a `string[N]`. A `__data_loc char[]` is a string of the default
/// `max_strlen`, which [`crate::sema`] sets to the script's. Other arrays of varying length are
/// [`Ty::Void`]: they have a name and no value. Pointers of system call tracepoints are the
/// user's, all others the kernel's.
pub fn parse_format(text: &str, name: &str, types: &mut TypeTable) -> Result<StructId, String> {
    let mut files = Grammar::parse(Rule::format, text).map_err(|error| describe(&error))?;
    let space = if name.starts_with("tracepoint:syscalls:") { Space::User } else { Space::Kernel };
    let pairs = files.next().into_iter().flat_map(Pair::into_inner);
    let written: Vec<_> = pairs.filter(|it| it.as_rule() == Rule::field).map(Written::read).collect();
    let mut fields = Vec::new();
    let mut size = COMMON;
    for field in written {
        size = size.max(field.offset.saturating_add(field.size));
        if field.offset >= COMMON {
            fields.extend(field.typed(space, types));
        }
    }
    Ok(types.add_struct(StructDef {
        name: name.to_owned(),
        union: false,
        size,
        origin: Origin::Format,
        fields: Some(fields),
    }))
}

fn describe(error: &pest::error::Error<Rule>) -> String {
    let (line, column) = match error.line_col {
        pest::error::LineColLocation::Pos(at) | pest::error::LineColLocation::Span(at, _) => at,
    };
    format!("line {line}, column {column} is not as expected")
}

/// A field as the file has it.
#[derive(Debug, Default)]
struct Written<'a> {
    /// Words without the name and the qualifiers.
    words: Vec<&'a str>,
    name: &'a str,
    pointers: u32,
    /// Between `[` and `]`.
    dimension: Option<&'a str>,
    /// A function pointer or something stranger.
    strange: bool,
    offset: u32,
    size: u32,
    signed: bool,
}

impl<'a> Written<'a> {
    fn read(field: Pair<'a, Rule>) -> Self {
        let mut written = Written::default();
        for pair in field.into_inner() {
            match pair.as_rule() {
                Rule::declaration => written.read_declaration(pair),
                Rule::offset => written.offset = number(pair),
                Rule::size => written.size = number(pair),
                Rule::signed => written.signed = number(pair) != 0,
                _ => {}
            }
        }
        written
    }

    fn read_declaration(&mut self, declaration: Pair<'a, Rule>) {
        for pair in declaration.into_inner() {
            match pair.as_rule() {
                Rule::word => self.words.push(pair.as_str()),
                Rule::pointer => self.pointers += 1,
                Rule::dimension => self.dimension = Some(pair.into_inner().as_str().trim()),
                _ => self.strange = true,
            }
        }
        self.name = self.words.pop().unwrap_or_default();
        self.words.retain(|it| !QUALIFIERS.contains(it));
    }

    /// The member of the struct; none for declarations that are no data.
    fn typed(self, space: Space, types: &mut TypeTable) -> Option<Field> {
        if self.strange || self.name.is_empty() {
            return None;
        }
        let located = matches!(self.words.first(), Some(&("__data_loc" | "__rel_loc")));
        let text = self.words == ["__data_loc", "char"];
        let ty = match (located, text) {
            (true, true) => Ty::Str(Config::default().max_strlen),
            (true, false) => Ty::Void,
            _ => self.ty(space, types),
        };
        Some(Field { name: self.name.to_owned(), ty, offset: self.offset, bits: None, data_loc: text })
    }

    fn ty(&self, space: Space, types: &mut TypeTable) -> Ty {
        let element = (0..self.pointers).fold(self.base(types), |ty, _| Ty::Ptr(Box::new(ty), space));
        let Some(dimension) = self.dimension else { return self.sized(element, self.size) };
        if element == Ty::I8 {
            return Ty::Str(self.size);
        }
        // Some lengths are expressions; the element's own size tells as much.
        let known = crate::layout::size_of(&element, types);
        let count = match dimension.parse::<u32>() {
            Ok(count) if count > 0 => count,
            _ if known > 0 => self.size / known,
            _ => return Ty::Array(Box::new(Ty::U8), self.size),
        };
        Ty::Array(Box::new(self.sized(element, self.size / count.max(1))), count)
    }

    /// What the declaration's words mean; [`Ty::Void`] for names that only C knows.
    fn base(&self, types: &mut TypeTable) -> Ty {
        match self.words.as_slice() {
            ["struct", name] => Ty::Struct(self.forward(name, false, types)),
            ["union", name] => Ty::Struct(self.forward(name, true, types)),
            ["bool"] => Ty::Bool,
            words => integer(&words.join(" ").replace("long int", "long")).map_or(Ty::Void, Ty::Int),
        }
    }

    /// A type as wide as the file says: typedefs and enums are integers of that size and sign.
    fn sized(&self, ty: Ty, size: u32) -> Ty {
        match (ty, size) {
            (Ty::Int(_) | Ty::Void, 1 | 2 | 4 | 8) => Ty::Int(IntTy::new(size as u8, self.signed)),
            (Ty::Int(_) | Ty::Void, _) => Ty::Array(Box::new(Ty::U8), size),
            (ty, _) => ty,
        }
    }

    /// A struct known by name only.
    fn forward(&self, name: &str, union: bool, types: &mut TypeTable) -> StructId {
        let known = types.structs.iter().position(|it| {
            it.origin == Origin::Format && it.fields.is_none() && it.union == union && it.name == name
        });
        if let Some(idx) = known {
            return StructId(idx as u32);
        }
        let size = if self.pointers == 0 && self.dimension.is_none() { self.size } else { 0 };
        types.add_struct(StructDef {
            name: name.to_owned(),
            union,
            size,
            origin: Origin::Format,
            fields: None,
        })
    }
}

fn number(pair: Pair<Rule>) -> u32 {
    pair.into_inner().as_str().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(declarations: &str, name: &str) -> Vec<(String, String, u32)> {
        let text = format!(
            "name: x\nID: 1\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n{declarations}\nprint fmt: \"%d\", REC->x\n"
        );
        let mut types = TypeTable::default();
        let id = parse_format(&text, name, &mut types).expect("the format is well-formed");
        let fields = types.struct_def(id).fields.clone().unwrap_or_default();
        let shown = |it: Field| (it.name, crate::hir::text::type_name(&it.ty, &types), it.offset);
        fields.into_iter().map(shown).collect()
    }

    #[test]
    fn declarations_become_types() {
        let cases = [
            ("char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;", "prev_comm", "string[16]", 8),
            ("pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;", "prev_pid", "int32", 24),
            ("long prev_state;\toffset:32;\tsize:8;\tsigned:1;", "prev_state", "int64", 32),
            ("unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;", "args", "uint64[6]", 16),
            ("const char * filename;\toffset:24;\tsize:8;\tsigned:0;", "filename", "int8 *", 24),
            ("const char *const * argv;\toffset:24;\tsize:8;\tsigned:0;", "argv", "int8 **", 24),
            ("struct page * page;\toffset:8;\tsize:8;\tsigned:0;", "page", "struct page *", 8),
            ("__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;", "filename", "string[1024]", 8),
            ("__data_loc unsigned char[] buf;\toffset:8;\tsize:4;\tsigned:0;", "buf", "void", 8),
            ("bool success;\toffset:8;\tsize:1;\tsigned:0;", "success", "bool", 8),
            ("dev_t dev;\toffset:8;\tsize:4;\tsigned:0;", "dev", "uint32", 8),
            ("sector_t sector;\toffset:16;\tsize:8;\tsigned:0;", "sector", "uint64", 16),
            ("__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;", "saddr_v6", "uint8[16]", 40),
            ("enum zone_type idx;\toffset:8;\tsize:4;\tsigned:0;", "idx", "uint32", 8),
            ("unsigned int flags;\toffset:8;\tsize:4;\tsigned:0;", "flags", "uint32", 8),
            ("int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;", "__syscall_nr", "int32", 8),
            ("char x[TASK_LEN + 1];\toffset:8;\tsize:9;\tsigned:0;", "x", "string[9]", 8),
        ];
        for (declaration, name, ty, offset) in cases {
            let read = fields(&format!("\tfield:{declaration}"), "tracepoint:a:b");
            assert_eq!(read, [(name.to_owned(), ty.to_owned(), offset)], "{declaration}");
        }
    }

    #[test]
    fn function_pointers_are_left_out() {
        assert_eq!(fields("\tfield:void (*fn)(int);\toffset:8;\tsize:8;\tsigned:0;", "tracepoint:a:b"), []);
    }

    #[test]
    fn what_is_no_format_is_an_error() {
        let error = parse_format("nonsense", "tracepoint:a:b", &mut TypeTable::default());
        assert_eq!(error, Err("line 1, column 1 is not as expected".to_owned()));
    }
}
