//! What the kernel's types tell of tracepoints, for a check where tracefs may not be read.
//!
//! Comes in: a category and an event. Goes out: a `format` text as tracefs would have it, as far as
//! types show it. Types know events but not their categories, and they name the struct of a
//! record after the class of the event, which need not have the event's name.

use crate::linux::btf::kernel::KernelTypes;
use crate::linux::btf::record::{Kind, Record};
use crate::linux::btf::{Btf, Namespace, print};
use std::fmt::Write;

/// The functions that carry out a system call; one of them may have named parameters.
const SYSTEM_CALL: &[&str] = &["__do_sys_", "__se_sys_", "__x64_sys_", "__arm64_sys_"];

/// How far the kernel's types tell that there is an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It exists, in this category.
    Certain,
    /// There is an event of that name in some category.
    OtherCategory,
    /// There is no such event.
    Absent,
}

/// Whether there is such an event.
pub fn existence(types: &KernelTypes, category: &str, event: &str) -> Existence {
    let call = match category {
        "syscalls" => system_call(event).map(|(_, name)| name),
        "raw_syscalls" => return certain(matches!(event, "sys_enter" | "sys_exit")),
        _ => None,
    };
    match (category, call) {
        ("syscalls", Some(name)) => certain(call_functions(types, name).next().is_some()),
        ("syscalls", None) => Existence::Absent,
        _ if types.raw_tracepoint_id(event).is_some() => Existence::OtherCategory,
        _ => Existence::Absent,
    }
}

/// Events that a category may have: all of them, but for those of system calls.
pub fn events(types: &KernelTypes, category: &str) -> Vec<String> {
    let btf = types.vmlinux();
    if category != "syscalls" {
        let typedefs = btf.records(Namespace::Typedef);
        return typedefs.filter_map(|it| it.name().strip_prefix("btf_trace_")).map(str::to_owned).collect();
    }
    let calls = btf.records(Namespace::Function).filter_map(|it| {
        let name = it.name();
        SYSTEM_CALL.iter().find_map(|prefix| name.strip_prefix(prefix))
    });
    calls.flat_map(|it| [format!("sys_enter_{it}"), format!("sys_exit_{it}")]).collect()
}

/// The `format` text of an event, where the types show what it has.
pub fn format(types: &KernelTypes, category: &str, event: &str) -> Option<String> {
    let fields = match (category, system_call(event)) {
        ("syscalls", Some((true, name))) => call_parameters(types, name)?,
        ("syscalls", Some((false, name))) => {
            call_functions(types, name).next()?;
            CALL_NUMBER.to_owned() + &field("long ret", 16, 8, true)
        }
        ("syscalls", None) => return None,
        _ => record_fields(types, event)?,
    };
    Some(format!("name: {event}\nformat:\n{fields}\n"))
}

/// What every record of a system call begins with.
const CALL_NUMBER: &str = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n";

fn certain(exists: bool) -> Existence {
    if exists { Existence::Certain } else { Existence::Absent }
}

/// Whether an event of `syscalls` is at the start of the call, and the call's name.
fn system_call(event: &str) -> Option<(bool, &str)> {
    let entered = event.strip_prefix("sys_enter_").map(|it| (true, it));
    entered.or_else(|| event.strip_prefix("sys_exit_").map(|it| (false, it)))
}

/// The prototypes of the call's functions.
fn call_functions<'a>(types: &'a KernelTypes, name: &'a str) -> impl Iterator<Item = Record<'a>> {
    let btf = types.vmlinux();
    SYSTEM_CALL.iter().filter_map(move |prefix| {
        let function = btf.find(Namespace::Function, &format!("{prefix}{name}"))?;
        btf.record(btf.record(function)?.target())
    })
}

/// Eight bytes for each parameter of the call; nothing when only the registers are handed on.
fn call_parameters(types: &KernelTypes, name: &str) -> Option<String> {
    let btf = types.vmlinux();
    let told = call_functions(types, name).find(|it| {
        it.parameters().all(|it| !matches!(btf.string(it.name_offset), "" | "regs" | "__unused"))
    })?;
    let declared = told.parameters().enumerate().map(|(at, it)| {
        let declaration = print::argument(btf, it.ty, btf.string(it.name_offset));
        field(&declaration, 16 + 8 * at as u32, 8, false)
    });
    Some(CALL_NUMBER.to_owned() + &declared.collect::<String>())
}

/// The members of the record's struct, when the class of the event has the event's name.
fn record_fields(types: &KernelTypes, event: &str) -> Option<String> {
    let (btf, id) = types.find(Namespace::Struct, &format!("trace_event_raw_{event}"))?;
    let mut fields = String::new();
    for member in btf.record(id)?.members() {
        let name = btf.string(member.name_offset);
        if matches!(name, "ent" | "__data") || member.bits != 0 {
            continue;
        }
        let (size, signed) = size_and_sign(&btf, member.ty)?;
        let declaration = match name.strip_prefix("__data_loc_") {
            // The types do not tell what is there; nearly always it is text.
            Some(name) => format!("__data_loc char[] {name}"),
            None => print::argument(&btf, member.ty, name),
        };
        // An enum without a name is written out.
        let declaration = if declaration.contains('{') { format!("int {name}") } else { declaration };
        fields += &field(&declaration, member.bit_offset / 8, size, signed);
    }
    Some(fields)
}

fn field(declaration: &str, offset: u32, size: u32, signed: bool) -> String {
    let mut line = String::new();
    let signed = u8::from(signed);
    let written = writeln!(line, "\tfield:{declaration};\toffset:{offset};\tsize:{size};\tsigned:{signed};");
    written.expect("strings take any text");
    line
}

/// Bytes of a type, and whether it holds negative numbers.
fn size_and_sign(btf: &Btf, id: u32) -> Option<(u32, bool)> {
    let (record, _) = btf.resolve(id)?;
    Some(match record.kind() {
        Kind::Int => (record.size(), record.int().signed),
        Kind::Pointer => (8, false),
        Kind::Array => {
            let (of, len) = record.array();
            let (size, signed) = size_and_sign(btf, of)?;
            (size.checked_mul(len)?, signed)
        }
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => (record.size(), false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::btf::synthetic::Encoder;
    use std::path::Path;
    use std::rc::Rc;

    fn types() -> KernelTypes {
        let mut btf = Encoder::new();
        let int = btf.int("int", 4, 1);
        let char = btf.int("char", 1, 0);
        let comm = btf.array(char, 16);
        let text = btf.wrap(Kind::Pointer, char);
        let members =
            [("ent", int, 0), ("comm", comm, 64), ("__data_loc_path", int, 192), ("__data", comm, 224)];
        btf.structure("trace_event_raw_exec", 28, &members);
        let nothing = btf.prototype(0, &[]);
        let event = btf.wrap(Kind::Pointer, nothing);
        btf.typedef("btf_trace_exec", event);
        btf.typedef("btf_trace_wake", event);
        let registers = btf.prototype(int, &[("regs", text)]);
        btf.function("__x64_sys_open", registers);
        btf.function("__x64_sys_close", registers);
        let named = btf.prototype(int, &[("path", text), ("flags", int)]);
        btf.function("__do_sys_open", named);
        KernelTypes::new(Rc::new(btf.finish("vmlinux", None)), Path::new("/nowhere"))
    }

    #[test]
    fn events_by_name() {
        for (category, event, expected) in [
            ("sched", "exec", Existence::OtherCategory),
            ("sched", "exit", Existence::Absent),
            ("syscalls", "sys_enter_open", Existence::Certain),
            ("syscalls", "sys_exit_close", Existence::Certain),
            ("syscalls", "sys_exit_clos", Existence::Absent),
            ("syscalls", "exec", Existence::Absent),
            ("raw_syscalls", "sys_exit", Existence::Certain),
            ("raw_syscalls", "sys_leave", Existence::Absent),
        ] {
            assert_eq!(existence(&types(), category, event), expected, "{category}:{event}");
        }
    }

    #[test]
    fn fields_as_tracefs_has_them() {
        let open = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
            \tfield:char * path;\toffset:16;\tsize:8;\tsigned:0;\n\tfield:int flags;\toffset:24;\tsize:8;\tsigned:0;\n";
        let exit = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
            \tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n";
        let exec = "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
            \tfield:__data_loc char[] path;\toffset:24;\tsize:4;\tsigned:1;\n";
        for (category, event, fields) in [
            ("syscalls", "sys_enter_open", Some(open)),
            ("syscalls", "sys_enter_close", None),
            ("syscalls", "sys_exit_close", Some(exit)),
            ("sched", "exec", Some(exec)),
            ("sched", "wake", None),
        ] {
            let expected = fields.map(|it| format!("name: {event}\nformat:\n{it}\n"));
            assert_eq!(format(&types(), category, event), expected, "{category}:{event}");
        }
    }
}
