//! What the front end may ask of a machine. The runtime answers from BTF, tracefs and symbol
//! tables; tests answer from a fixture.

use crate::attach::Point;
use crate::probes::ProbeKind;
use crate::ty::{StructId, Ty, TypeTable};

/// A C type's name space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// `struct x`
    Struct,
    /// `union x`
    Union,
    /// `enum x`
    Enum,
    /// A typedef, such as `pid_t`.
    Typedef,
}

impl TypeKind {
    /// The word in front of a tag; nothing for typedefs.
    pub fn keyword(self) -> &'static str {
        match self {
            TypeKind::Struct => "struct",
            TypeKind::Union => "union",
            TypeKind::Enum => "enum",
            TypeKind::Typedef => "",
        }
    }
}

/// A kernel function's type.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionTy {
    /// Names and types, in order.
    pub params: Vec<(String, Ty)>,
    /// The result; [`Ty::Void`] for none.
    pub result: Ty,
    /// `vmlinux` or the module that has it.
    pub module: String,
}

/// The answer to "which targets does this pattern mean?".
#[derive(Clone, Debug, PartialEq)]
pub enum Matches {
    /// All that match, sorted by name; empty when nothing does.
    Points(Vec<Point>),
    /// This machine cannot have such probes, and why (naming the kernel option or file).
    Unavailable(String),
}

/// A file that a script imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedFile {
    /// As diagnostics show it.
    pub name: String,
    /// The same for one file under whatever name it is imported.
    pub identity: String,
    /// Its text.
    pub text: String,
}

/// The answer to "what does this script import?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The file, or the files of the folder in order of their names.
    Files(Vec<ImportedFile>),
    /// There is nothing under these names.
    Missing(Vec<String>),
    /// It must not or cannot be read, and why.
    Refused(String),
}

/// What the front end may ask. Types it hands out are added to the table that it is given.
pub trait Host {
    /// Every target that `point` means: itself when it has no wildcard and exists.
    fn matches(&self, point: &Point) -> Matches;

    /// Names of the same kind that exist, for suggestions; may be cut to the likely ones.
    fn similar(&self, point: &Point) -> Vec<String>;

    /// The text of the tracepoint's `format` file.
    fn tracepoint_format(&self, category: &str, event: &str) -> Option<String>;

    /// Whether the kernel describes its types.
    fn has_btf(&self) -> bool;

    /// A kernel type by name.
    fn kernel_type(&self, kind: TypeKind, name: &str, types: &mut TypeTable) -> Option<Ty>;

    /// Fills in the members of a struct that this host made.
    fn complete(&self, id: StructId, types: &mut TypeTable);

    /// The type of a kernel function, or of a raw tracepoint's arguments.
    fn function(&self, kind: ProbeKind, name: &str, types: &mut TypeTable) -> Option<FunctionTy>;

    /// The value of an enumerator found anywhere in the kernel's types, with its enum.
    fn enumerator(&self, name: &str, types: &mut TypeTable) -> Option<(Ty, i64)>;

    /// The text of a header that a script includes: beside the script, or in a folder given with `-I`.
    fn include(&self, path: &str) -> Option<String>;

    /// The file or the folder that `path` means in the file called `from`: beside that one, else
    /// where headers are looked for. A host without files has none.
    fn import(&self, path: &str, from: &str) -> Imported {
        let _ = from;
        Imported::Missing(vec![path.to_owned()])
    }

    /// The address of a kernel symbol.
    fn kernel_symbol(&self, name: &str) -> Option<u64>;

    /// The kernel's version, three numbers.
    fn kernel_version(&self) -> Option<(u32, u32, u32)> {
        None
    }
}
