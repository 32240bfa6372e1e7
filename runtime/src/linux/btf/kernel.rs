//! The types of the running kernel: `vmlinux`, and its modules when a name is not found there.
//!
//! Comes in: names. Goes out: the file that has them and the id there. A module's file is read
//! once, when first needed.

use super::{Btf, Namespace, VMLINUX};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where the kernel shows its types.
const DIRECTORY: &str = "/sys/kernel/btf";

/// The kernel's types.
#[derive(Debug)]
pub struct KernelTypes {
    vmlinux: Rc<Btf>,
    directory: PathBuf,
    modules: RefCell<BTreeMap<String, Option<Rc<Btf>>>>,
}

impl KernelTypes {
    /// The running kernel's. Takes about a millisecond: call it when a type is asked for.
    pub fn open() -> io::Result<KernelTypes> {
        Self::at(Path::new(DIRECTORY))
    }

    /// Whether the running kernel describes its types; reads nothing.
    pub fn available() -> bool {
        Path::new(DIRECTORY).join(VMLINUX).exists()
    }

    /// The files of a directory.
    pub fn at(directory: &Path) -> io::Result<KernelTypes> {
        let vmlinux = Rc::new(Btf::open(&directory.join(VMLINUX), VMLINUX, None)?);
        Ok(Self::new(vmlinux, directory))
    }

    /// Types already read; further modules are looked for in `directory`.
    pub fn new(vmlinux: Rc<Btf>, directory: &Path) -> KernelTypes {
        KernelTypes { vmlinux, directory: directory.to_owned(), modules: RefCell::default() }
    }

    /// The kernel proper.
    pub fn vmlinux(&self) -> &Rc<Btf> {
        &self.vmlinux
    }

    /// A loaded module's types (`vmlinux` is one too).
    pub fn module(&self, name: &str) -> Option<Rc<Btf>> {
        if name == VMLINUX {
            return Some(self.vmlinux.clone());
        }
        if name.contains('/') {
            return None;
        }
        let read =
            || Btf::open(&self.directory.join(name), name, Some(self.vmlinux.clone())).ok().map(Rc::new);
        self.modules.borrow_mut().entry(name.to_owned()).or_insert_with(read).clone()
    }

    /// The kernel proper, then every loaded module, sorted by name.
    pub fn module_names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|it| it.file_name().into_string().ok()).collect();
        names.retain(|it| it != VMLINUX);
        names.sort_unstable();
        names.insert(0, VMLINUX.to_owned());
        names
    }

    /// The first file that has a definition of that name, the kernel proper before its modules.
    pub fn find(&self, space: Namespace, name: &str) -> Option<(Rc<Btf>, u32)> {
        self.first(|btf| btf.find(space, name))
    }

    /// The first enum with an enumerator of that name, and its value.
    pub fn enumerator(&self, name: &str) -> Option<(Rc<Btf>, u32, i64)> {
        self.first(|btf| btf.enumerator(name)).map(|(btf, (id, value))| (btf, id, value))
    }

    /// The module that has a function (`vmlinux` for the kernel proper) and the function's BTF id
    /// there: what a trampoline program is attached to.
    pub fn function_id(&self, name: &str) -> Option<(String, u32)> {
        self.find(Namespace::Function, name).map(|(btf, id)| (btf.module().to_owned(), id))
    }

    /// The module that has a tracepoint and the id of its `btf_trace_NAME` typedef: what a raw
    /// tracepoint program with typed arguments is attached to.
    pub fn raw_tracepoint_id(&self, name: &str) -> Option<(String, u32)> {
        self.find(Namespace::Typedef, &format!("btf_trace_{name}"))
            .map(|(btf, id)| (btf.module().to_owned(), id))
    }

    fn first<T>(&self, look: impl Fn(&Btf) -> Option<T>) -> Option<(Rc<Btf>, T)> {
        if let Some(found) = look(&self.vmlinux) {
            return Some((self.vmlinux.clone(), found));
        }
        self.module_names().iter().skip(1).find_map(|name| {
            let btf = self.module(name)?;
            let found = look(&btf)?;
            Some((btf, found))
        })
    }
}
