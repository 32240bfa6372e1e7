//! The manifest: what the runtime must know of a program, without the rest of its typed tree.

mod validate;

use super::layout::Layout;
use crate::bpf::{self, Function};
use crate::manifest::{MapEntry, Program, VERSION};
use crate::storage::Plan;
use crate::{Manifest, Target};
use lang::hir::{self, MapId};
use lang::ty::{EnumId, Field, StructDef, StructId, Ty, TypeTable};
use std::collections::HashMap;

/// Builds the manifest. Its types are only those that values have: pointees are void.
pub fn build(
    module: &bpf::Module,
    layout: &Layout,
    plan: &Plan,
    program: &hir::Program,
    target: &Target,
) -> Manifest {
    let mut values = Values::of(&program.types);
    let maps = program.maps.iter().enumerate().map(|(idx, map)| MapEntry {
        map: hir::Map {
            key: map.key.as_ref().map(|it| values.ty(it)),
            value: values.ty(&map.value),
            ..map.clone()
        },
        storage: plan.storage(MapId(idx as u32)),
        full: plan.entries[idx].full,
    });
    let maps = maps.collect();
    let actions = program.actions.iter().map(|it| {
        let args = it.args.iter().map(|ty| values.ty(ty)).collect();
        hir::Action { args, ..it.clone() }
    });
    Manifest {
        version: VERSION,
        target: target.clone(),
        programs: programs(module, layout, program),
        maps,
        actions: actions.collect(),
        failures: module.failures.clone(),
        types: values.types,
        config: program.config.clone(),
        sources: program.sources.clone(),
        globals: plan.manifest_globals(),
    }
}

/// The programs in the order of the script's probes.
fn programs(module: &bpf::Module, layout: &Layout, program: &hir::Program) -> Vec<Program> {
    let mut programs: Vec<(usize, Program)> = Vec::new();
    for placed in layout.functions() {
        let Function { name, probe: Some(probe), .. } = &module.functions[placed.function.index()] else {
            continue;
        };
        let hir::Probe { points, span, .. } = &program.probes[*probe];
        let entry = Program {
            symbol: name.clone(),
            points: points.clone(),
            span: *span,
            lines: placed.code.lines.clone(),
        };
        programs.push((*probe, entry));
    }
    programs.sort_by_key(|&(probe, _)| probe);
    programs.into_iter().map(|(_, it)| it).collect()
}

/// Collects the types of values into a table of their own.
struct Values<'a> {
    from: &'a TypeTable,
    types: TypeTable,
    /// The structs that are in it, by their old ids.
    structs: HashMap<StructId, StructId>,
    /// The enums.
    enums: HashMap<EnumId, EnumId>,
}

impl<'a> Values<'a> {
    fn of(from: &'a TypeTable) -> Self {
        Values { from, types: TypeTable::default(), structs: HashMap::new(), enums: HashMap::new() }
    }

    fn ty(&mut self, ty: &Ty) -> Ty {
        match ty {
            Ty::Struct(id) => Ty::Struct(self.structure(*id)),
            Ty::Enum(id) => Ty::Enum(self.enumeration(*id)),
            Ty::Ptr(_, space) => Ty::Ptr(Box::new(Ty::Void), *space),
            Ty::Array(of, n) => Ty::Array(Box::new(self.ty(of)), *n),
            Ty::Tuple(items) => Ty::Tuple(items.iter().map(|it| self.ty(it)).collect()),
            Ty::Record(items) => {
                Ty::Record(items.iter().map(|(name, it)| (name.clone(), self.ty(it))).collect())
            }
            Ty::Error
            | Ty::Void
            | Ty::Bool
            | Ty::Int(_)
            | Ty::Str(_)
            | Ty::Buf(_)
            | Ty::Stack(_)
            | Ty::Ksym
            | Ty::Usym
            | Ty::Ipv4
            | Ty::Ipv6
            | Ty::Inet
            | Ty::Mac
            | Ty::Network
            | Ty::Timestamp(_)
            | Ty::Agg(_) => ty.clone(),
        }
    }

    fn structure(&mut self, id: StructId) -> StructId {
        if let Some(&known) = self.structs.get(&id) {
            return known;
        }
        let def = self.from.struct_def(id);
        let fields = def.fields.as_ref().map(|fields| {
            let field = |it: &Field| Field { ty: self.ty(&it.ty), ..it.clone() };
            fields.iter().map(field).collect()
        });
        let new = self.types.add_struct(StructDef { fields, ..def.clone() });
        self.structs.insert(id, new);
        new
    }

    fn enumeration(&mut self, id: EnumId) -> EnumId {
        if let Some(&known) = self.enums.get(&id) {
            return known;
        }
        let new = self.types.add_enum(self.from.enum_def(id).clone());
        self.enums.insert(id, new);
        new
    }
}

/// The JSON that the object holds.
pub fn encode(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("a manifest is made of numbers, strings and lists")
}

/// Reads that JSON back. `Err` says what is wrong with it.
pub fn decode(json: &[u8]) -> Result<Manifest, String> {
    let manifest = serde_json::from_slice(json).map_err(damaged)?;
    validate::validate(&manifest).map_err(damaged)?;
    Ok(manifest)
}

/// Whether the JSON has the format that this version writes. `Err` says why not.
///
/// All versions begin with the number, and nothing else of another one is understood.
pub fn check_version(json: &[u8]) -> Result<(), String> {
    let digits = json.strip_prefix(b"{\"version\":").unwrap_or_default();
    let end = digits.iter().position(|it| !it.is_ascii_digit()).unwrap_or(digits.len());
    let version = std::str::from_utf8(&digits[..end]).ok().and_then(|it| it.parse::<u32>().ok());
    match version {
        Some(VERSION) => Ok(()),
        Some(version) => Err(format!(
            "it was built by another version of kscope: its manifest has format {version}, \
             this kscope reads format {VERSION}"
        )),
        None => Err(damaged("it has no version")),
    }
}

fn damaged(what: impl std::fmt::Display) -> String {
    format!("its manifest is damaged: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lang::ty::{Origin, Space};

    #[test]
    fn only_the_types_of_values_are_kept() {
        let field = |ty: Ty| Field { name: "a".to_owned(), ty, offset: 0, bits: None, data_loc: false };
        let mut from = TypeTable::default();
        let mut add = |name: &str, ty: Ty| {
            let (name, fields) = (name.to_owned(), Some(vec![field(ty)]));
            from.add_struct(StructDef { name, union: false, size: 8, origin: Origin::Script, fields })
        };
        let pointee = add("pointee", Ty::U64);
        let inner = add("inner", Ty::Ptr(Box::new(Ty::Struct(pointee)), Space::Kernel));
        let outer = add("outer", Ty::Array(Box::new(Ty::Struct(inner)), 1));

        let mut values = Values::of(&from);
        let key = Ty::Tuple(vec![Ty::Struct(outer), Ty::Struct(inner)]);
        let (inner, outer) = (StructId(0), StructId(1));
        assert_eq!(values.ty(&key), Ty::Tuple(vec![Ty::Struct(outer), Ty::Struct(inner)]));
        let names: Vec<&str> = values.types.structs.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["inner", "outer"]);
        let pointer = Ty::Ptr(Box::new(Ty::Void), Space::Kernel);
        assert_eq!(values.types.struct_def(inner).fields, Some(vec![field(pointer)]));
    }
}
