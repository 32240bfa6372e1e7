//! Whether a manifest that was read keeps the rules that a built one keeps.
//!
//! Comes in: a manifest from a file, which may be damaged. Goes out: what is wrong with it, if
//! anything. Behind this, ids name what exists, sizes are small numbers, and types end.

use crate::Manifest;
use crate::manifest::{MapEntry, Storage};
use lang::hir::{Action, MapId};
use lang::layout;
use lang::source::Span;
use lang::ty::{Agg, EnumId, IntTy, StructId, Ty, TypeTable};

/// No value of a program is larger: it has to fit a map's entry or a record.
const MOST_BYTES: u64 = 16 << 20;

/// Frames of the longest stack.
const MOST_FRAMES: u32 = 1024;

/// Says what is wrong.
pub fn validate(manifest: &Manifest) -> Result<(), String> {
    let rules = Rules { manifest, types: &manifest.types };
    if !manifest.sources.is_sound() {
        return Err("the script's texts do not belong together".to_owned());
    }
    for (idx, def) in manifest.types.structs.iter().enumerate() {
        rules.length(def.size.into())?;
        for field in def.fields.iter().flatten() {
            rules.ty(&field.ty, idx)?;
        }
    }
    for def in &manifest.types.enums {
        rules.int(def.int)?;
    }
    manifest.maps.iter().try_for_each(|it| rules.map(it))?;
    manifest.actions.iter().try_for_each(|it| rules.action(it))?;
    manifest.failures.iter().try_for_each(|it| rules.span(it.span))?;
    for program in &manifest.programs {
        let lines = program.lines.iter().map(|it| it.1);
        lines.chain([program.span]).try_for_each(|it| rules.span(it))?;
    }
    let globals = &manifest.globals;
    globals.lost.map_or(Ok(()), |it| rules.global(it, 8))
}

struct Rules<'a> {
    manifest: &'a Manifest,
    types: &'a TypeTable,
}

impl Rules<'_> {
    fn map(&self, entry: &MapEntry) -> Result<(), String> {
        let map = &entry.map;
        self.span(map.span)?;
        if let Some(key) = &map.key {
            self.value(key)?;
        }
        self.value(&map.value)?;
        entry.full.map_or(Ok(()), |it| self.global(it, 8))?;
        match entry.storage {
            Storage::Global { offset, set } => {
                self.global(offset, layout::size_of(&map.value, self.types))?;
                self.global(set, 1)
            }
            Storage::PerCpuScalar { .. } | Storage::Keyed { .. } => Ok(()),
        }
    }

    fn action(&self, action: &Action) -> Result<(), String> {
        self.span(action.span)?;
        // A record has them all.
        self.value(&Ty::Tuple(action.args.clone()))?;
        action.kind.map().map_or(Ok(()), |map| self.map_id(map))
    }

    fn map_id(&self, id: MapId) -> Result<(), String> {
        let exists = (id.0 as usize) < self.manifest.maps.len();
        exists.then_some(()).ok_or_else(|| format!("there is no map {id}"))
    }

    fn span(&self, span: Span) -> Result<(), String> {
        let exists = self.manifest.sources.has(span.file) && span.start <= span.end;
        exists.then_some(()).ok_or_else(|| "a place is outside the script".to_owned())
    }

    /// A variable of `.bss`.
    fn global(&self, offset: u32, size: u32) -> Result<(), String> {
        let inside = offset.checked_add(size).is_some_and(|end| end <= self.manifest.globals.bss_size);
        inside.then_some(()).ok_or_else(|| format!("there is no variable of {size} bytes at {offset}"))
    }

    fn value(&self, ty: &Ty) -> Result<(), String> {
        self.ty(ty, self.types.structs.len()).map(drop)
    }

    /// The bytes that a type takes, at least. Its structs stand before `before` in the table, where
    /// inner ones come first: so types end.
    fn ty(&self, ty: &Ty, before: usize) -> Result<u64, String> {
        let sum = |items: &mut dyn Iterator<Item = &Ty>| -> Result<u64, String> {
            let mut sum = 0u64;
            for item in items {
                // Padding included.
                sum += self.ty(item, before)?.next_multiple_of(8);
                self.length(sum)?;
            }
            Ok(sum)
        };
        let size = match ty {
            Ty::Struct(id) => self.structure(*id, before)?,
            Ty::Enum(id) => self.enumeration(*id)?,
            Ty::Int(int) => self.int(*int)?,
            Ty::Array(of, n) => self.ty(of, before)?.max(1) * u64::from(*n),
            Ty::Tuple(items) => sum(&mut items.iter())?,
            Ty::Record(items) => sum(&mut items.iter().map(|it| &it.1))?,
            Ty::Ptr(to, _) => {
                self.ty(to, before)?;
                8
            }
            Ty::Str(n) | Ty::Buf(n) => u64::from(*n) + 4,
            Ty::Stack(stack) if stack.limit > MOST_FRAMES => {
                return Err(format!("a stack has {} frames", stack.limit));
            }
            Ty::Agg(agg) => aggregation(agg)?,
            Ty::Error
            | Ty::Void
            | Ty::Bool
            | Ty::Stack(_)
            | Ty::Ksym
            | Ty::Usym
            | Ty::Ipv4
            | Ty::Ipv6
            | Ty::Inet
            | Ty::Mac
            | Ty::Network
            | Ty::Username
            | Ty::CgroupPath(_)
            | Ty::Timestamp(_) => layout::size_of(ty, self.types).into(),
        };
        self.length(size)?;
        Ok(size)
    }

    fn length(&self, size: u64) -> Result<(), String> {
        let fits = size <= MOST_BYTES;
        fits.then_some(()).ok_or_else(|| "a value has more bytes than fit a map".to_owned())
    }

    fn structure(&self, id: StructId, before: usize) -> Result<u64, String> {
        let def = self.types.structs[..before].get(id.0 as usize);
        def.map(|it| it.size.into()).ok_or_else(|| format!("there is no struct {}", id.0))
    }

    fn enumeration(&self, id: EnumId) -> Result<u64, String> {
        let def = self.types.enums.get(id.0 as usize).ok_or_else(|| format!("there is no enum {}", id.0))?;
        self.int(def.int)
    }

    fn int(&self, int: IntTy) -> Result<u64, String> {
        let size = matches!(int.size, 1 | 2 | 4 | 8).then_some(int.size.into());
        size.ok_or_else(|| format!("an integer has {} bytes", int.size))
    }
}

fn aggregation(agg: &Agg) -> Result<u64, String> {
    /// Steps of the longest `lhist`.
    const MOST_STEPS: i128 = 1000;
    /// Intervals of the longest `tseries`.
    const MOST_INTERVALS: u32 = 1300;
    match *agg {
        Agg::Hist { bits } if bits > 5 => return Err(format!("a histogram has {bits} bits")),
        Agg::Lhist { min, max, step } => {
            let range = i128::from(max) - i128::from(min);
            if step < 1 || !(0..=MOST_STEPS * i128::from(step)).contains(&range) {
                return Err("a histogram has bounds that do not fit together".to_owned());
            }
        }
        Agg::Tseries { interval, count, .. } if interval == 0 || !(1..=MOST_INTERVALS).contains(&count) => {
            return Err(format!("a time series has {count} intervals of {interval} ns"));
        }
        _ => {}
    }
    Ok(8 * u64::from(layout::agg_words(agg)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;
    use crate::manifest::{Globals, VERSION};
    use crate::target::{Arch, Isa, KernelVersion};
    use lang::hir::{ActionKind, Config, Map, MapKind};
    use lang::source::Sources;
    use lang::ty::{EnumDef, Field, Origin, StructDef};

    /// A manifest with one map that holds values of a type.
    fn holding(value: Ty) -> Manifest {
        let map = Map {
            name: "@".to_owned(),
            key: None,
            value,
            kind: MapKind::Hash,
            max_entries: 1,
            span: Span::default(),
        };
        let target = Target {
            isa: Isa::V3,
            kernel: KernelVersion(6, 1),
            arch: Arch::X86_64,
            pid_namespace: None,
            built_for: None,
        };
        Manifest {
            version: VERSION,
            target,
            programs: Vec::new(),
            maps: vec![MapEntry { map, storage: Storage::Global { offset: 0, set: 64 }, full: None }],
            actions: Vec::new(),
            failures: Vec::new(),
            types: TypeTable {
                structs: vec![of_field(Ty::U64), of_field(Ty::Struct(StructId(0)))],
                enums: vec![EnumDef { name: String::new(), int: IntTy::new(4, false), variants: Vec::new() }],
            },
            config: Config::default(),
            sources: Sources::single("case.bt", "@"),
            globals: Globals { bss_size: 72, ..Globals::default() },
        }
    }

    fn of_field(ty: Ty) -> StructDef {
        let field = Field { name: "a".to_owned(), ty, offset: 0, bits: None, data_loc: false };
        StructDef {
            name: String::new(),
            union: false,
            size: 8,
            origin: Origin::Script,
            fields: Some(vec![field]),
        }
    }

    #[test]
    fn values_are_of_types_that_exist_and_end() {
        let row = |of: Ty, n| Ty::Array(Box::new(of), n);
        let lhist = |min, max, step| Ty::Agg(Agg::Lhist { min, max, step });
        let cases = [
            (Ty::U64, None),
            (Ty::Struct(StructId(1)), None),
            (row(Ty::U8, 64), None),
            (Ty::Struct(StructId(2)), Some("there is no struct 2")),
            (row(Ty::Enum(EnumId(1)), 1), Some("there is no enum 1")),
            (Ty::Int(IntTy::new(0, false)), Some("an integer has 0 bytes")),
            (Ty::Str(u32::MAX), Some("a value has more bytes than fit a map")),
            (row(row(row(Ty::Void, u32::MAX), 1), 1), Some("a value has more bytes than fit a map")),
            (row(Ty::U8, 80), Some("there is no variable of 80 bytes at 0")),
            (Ty::Agg(Agg::Hist { bits: 6 }), Some("a histogram has 6 bits")),
            (lhist(0, 10, 0), Some("a histogram has bounds that do not fit together")),
            (lhist(i64::MIN, i64::MAX, 1), Some("a histogram has bounds that do not fit together")),
        ];
        for (ty, expected) in cases {
            let result = validate(&holding(ty.clone()));
            assert_eq!(result.err().as_deref(), expected, "{ty:?}");
        }
    }

    #[test]
    fn no_struct_holds_itself() {
        let mut manifest = holding(Ty::U64);
        manifest.types.structs[1] = of_field(Ty::Struct(StructId(1)));
        assert_eq!(validate(&manifest), Err("there is no struct 1".to_owned()));
    }

    #[test]
    fn ids_and_places_exist() {
        let mut manifest = holding(Ty::U64);
        manifest.actions =
            vec![Action { kind: ActionKind::Clear(MapId(1)), args: Vec::new(), span: Span::default() }];
        assert_eq!(validate(&manifest), Err("there is no map @m1".to_owned()));
        let mut manifest = holding(Ty::U64);
        manifest.maps[0].map.span.file.0 = 1;
        assert_eq!(validate(&manifest), Err("a place is outside the script".to_owned()));
    }
}
