//! Whether a manifest that was read keeps the rules that a built one keeps.
//!
//! Comes in: a manifest from a file, which may be damaged. Goes out: what is wrong with it, if
//! anything. Behind this, ids name what exists, sizes are small numbers, and types end.

use crate::Manifest;
use crate::manifest::{MapEntry, Storage};
use lang::hir::{Action, ActionKind, MapId};
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
        match action.kind {
            ActionKind::PrintMap(map)
            | ActionKind::PrintEntry(map)
            | ActionKind::Clear(map)
            | ActionKind::Zero(map) => self.map_id(map),
            ActionKind::Printf(_)
            | ActionKind::PrintValue
            | ActionKind::Exit
            | ActionKind::Time(_)
            | ActionKind::Join(_) => Ok(()),
        }
    }

    fn map_id(&self, id: MapId) -> Result<(), String> {
        let exists = (id.0 as usize) < self.manifest.maps.len();
        exists.then_some(()).ok_or_else(|| format!("there is no map {id}"))
    }

    fn span(&self, span: Span) -> Result<(), String> {
        let exists = usize::from(span.file.0) < self.manifest.sources.0.len() && span.start <= span.end;
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
    match *agg {
        Agg::Hist { bits } if bits > 5 => return Err(format!("a histogram has {bits} bits")),
        Agg::Lhist { min, max, step } => {
            let range = i128::from(max) - i128::from(min);
            if step < 1 || !(0..=MOST_STEPS * i128::from(step)).contains(&range) {
                return Err("a histogram has bounds that do not fit together".to_owned());
            }
        }
        _ => {}
    }
    Ok(8 * u64::from(layout::agg_words(agg)))
}
