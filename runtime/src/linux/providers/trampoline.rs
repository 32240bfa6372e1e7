//! `fentry` and `fexit`: the kernel calls the program from the function itself.
//!
//! The function is named when the program is loaded, so each point has its own copy of the code.

use super::misplaced;
use crate::backend::{Error, Result};
use crate::linux::attach::{Attachment, failed};
use crate::linux::btf;
use crate::linux::kernel::Kernel;
use crate::linux::sys::bpf;
use lang::attach::Point;
use lang::attach::Target as PointTarget;
use std::os::fd::{AsFd, OwnedFd};

/// The function that a program is loaded for.
pub struct Target {
    /// Its id in the kernel's or the module's types.
    pub id: u32,
    /// The module's types; `None` for the kernel proper.
    pub module: Option<OwnedFd>,
}

/// Finds a point's function.
pub fn target(point: &Point, kernel: &Kernel) -> Result<Target> {
    let PointTarget::Function { module, name, .. } = &point.target else { return Err(misplaced(point)) };
    let types = kernel.types()?;
    let found = match module {
        Some(module) => types
            .module(module)
            .and_then(|it| it.find(btf::Namespace::Function, name))
            .map(|id| (module.clone(), id)),
        None => types.function_id(name),
    };
    let (module, id) = found.ok_or_else(|| {
        Error::new(format!("the kernel's types have no function for `{}`", point.name()))
            .hint("inlined and hidden functions cannot be probed")
    })?;
    let module = match module.as_str() {
        btf::VMLINUX => None,
        name => Some(bpf::module_btf(name).map_err(|errno| failed(point, errno))?),
    };
    Ok(Target { id, module })
}

/// Attaches the code that was loaded for this point.
pub fn attach(point: &Point, each: &[(Point, Result<OwnedFd>)]) -> Result<Vec<Attachment>> {
    let Some((_, code)) = each.iter().find(|(it, _)| it == point) else { return Err(misplaced(point)) };
    let fd = match code {
        Ok(fd) => fd,
        Err(error) => return Err(Error { hint: error.hint.clone(), ..Error::new(error.message.clone()) }),
    };
    let link = bpf::raw_tracepoint_open(fd.as_fd(), None).map_err(|errno| failed(point, errno))?;
    Ok(vec![link.into()])
}

/// The error for a kernel that refuses such programs to a privileged process, without a reason.
pub fn not_allowed(name: &str) -> Error {
    Error::new(format!("this kernel does not allow `{name}`: it cannot or may not patch its functions"))
        .hint("fentry and fexit need CONFIG_FUNCTION_TRACER and no lockdown against patching; try kprobe")
}
