//! The script's maps: what each use says about key and value.

use super::infer::{Admitted, Known, Slot};
use super::stmts::Body;
use super::{Context, infer};
use crate::ast;
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::{self, MapId, MapKind};
use crate::source::Span;
use crate::ty::{Agg, Ty};
use std::collections::BTreeMap;

/// All maps of a script, by name.
#[derive(Debug)]
pub(super) struct Maps<'a> {
    used: BTreeMap<String, Map>,
    declared: BTreeMap<String, Declared>,
    /// What there is before the script runs, used by it or not.
    known: &'a [hir::Map],
}

/// What is known of one map.
#[derive(Debug)]
struct Map {
    /// Whether it has a key, and the use that said so.
    keyed: Option<(bool, Span)>,
    key: Slot,
    value: Slot,
    /// Whether anything tries to give it a value.
    assigned: bool,
    /// Rank by name when the round began.
    id: MapId,
    /// The first use.
    span: Span,
    /// Whether it holds something before the script runs, so that all of the above is said.
    known: bool,
}

/// `let @name = kind(size);`
#[derive(Debug)]
struct Declared {
    kind: MapKind,
    size: u32,
    span: Span,
}

/// Reads the script's map declarations.
pub(super) fn declare(cx: &mut Context, script: &ast::Script) {
    for item in &script.items {
        let ast::Item::MapDecl(decl) = item else { continue };
        let Some(declared) = declared(cx, decl) else { continue };
        if let Some(earlier) = cx.maps.declared.get(&decl.name.text) {
            let earlier = earlier.span;
            cx.report(
                Diagnostic::error(decl.name.span, format!("`{}` is declared twice", decl.name.text))
                    .label(earlier, "first declared here"),
            );
            continue;
        }
        cx.maps.declared.insert(decl.name.text.clone(), declared);
    }
}

fn declared(cx: &mut Context, decl: &ast::MapDecl) -> Option<Declared> {
    let word = decl.kind.text.as_str();
    let Some(kind) = MapKind::ALL.into_iter().find(|it| it.name() == word) else {
        let near = nearest(word, MapKind::ALL.map(MapKind::name)).map(|it| format!("did you mean `{it}`?"));
        cx.report(Diagnostic::error(decl.kind.span, format!("unknown map kind `{word}`")).maybe_hint(near));
        return None;
    };
    let size = match &decl.size {
        None => cx.config.max_map_keys,
        Some(ast::Expr { kind: ast::ExprKind::Word(word), .. })
            if let Some(size @ 1..=0x7fff_ffff) = cx.block.int(word) =>
        {
            size as u32
        }
        Some(ast::Expr { kind: ast::ExprKind::Int(size @ 1..=0x7fff_ffff), .. }) => *size as u32,
        Some(ast::Expr { kind: ast::ExprKind::Positional(n), span }) => {
            let text = cx.options.params.get(*n as usize - 1).map_or("", String::as_str);
            match text.parse::<u32>() {
                Ok(size) if size > 0 => size,
                _ => {
                    cx.report(Diagnostic::error(*span, format!("`{text}` is not a map size")));
                    return None;
                }
            }
        }
        Some(size) => {
            cx.report(
                Diagnostic::error(size.span, "a map's size is a positive number")
                    .hint(format!("for example `let {} = {word}(4096);`", decl.name.text)),
            );
            return None;
        }
    };
    Some(Declared { kind, size, span: decl.span })
}

impl<'a> Maps<'a> {
    /// No map is used; these hold something already.
    pub fn new(known: &'a [hir::Map]) -> Self {
        Maps { used: BTreeMap::new(), declared: BTreeMap::new(), known }
    }

    fn known(&self, name: &str) -> Option<&'a hir::Map> {
        self.known.iter().find(|it| it.name == name)
    }

    /// Numbers the maps by name. A map that the round to come finds makes a further round.
    pub fn rank(&mut self) {
        for (rank, map) in self.used.values_mut().enumerate() {
            map.id = MapId(rank as u32);
        }
    }

    /// What the script declared the map as, or what it was before.
    pub fn kind(&self, name: &str) -> MapKind {
        let declared = self.declared.get(name).map(|it| it.kind);
        declared.or(self.known(name).map(|it| it.kind)).unwrap_or(MapKind::Hash)
    }

    /// Gives the map the key type that its kind prescribes.
    pub fn set_key_type(&mut self, name: &str, ty: Ty, span: Span) {
        self.touch(name, span).0.key = Slot::declared(ty, span);
    }

    fn id(&self, name: &str) -> MapId {
        self.used.get(name).map_or(MapId(0), |it| it.id)
    }

    /// Whether some use says that the map has no key.
    pub fn is_scalar(&self, name: &str) -> bool {
        self.used.get(name).and_then(|it| it.keyed).is_some_and(|it| !it.0)
    }

    /// The map of that name; `true` when this is its first use.
    fn touch(&mut self, name: &str, span: Span) -> (&mut Map, bool) {
        let (mut new, known) = (false, self.known(name));
        let map = self.used.entry(name.to_owned()).or_insert_with(|| {
            new = true;
            match known {
                Some(known) => Map::known(known, span),
                None => Map::open(span),
            }
        });
        (map, new)
    }

    /// The types of the values of maps that something is assigned to.
    pub fn assigned_values(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.used.values_mut().filter(|it| it.assigned).map(|it| &mut it.value)
    }

    /// Reports maps that are used but never get a value.
    pub fn report_untyped(&self, diagnostics: &mut Vec<Diagnostic>) {
        let (untyped, typed): (Vec<_>, Vec<_>) =
            self.used.iter().partition(|(_, it)| *it.value.ty() == Ty::Error);
        // What failed to be assigned has been reported already.
        for (name, map) in untyped.into_iter().filter(|(_, it)| !it.assigned) {
            let near = nearest(name, typed.iter().map(|it| it.0.as_str()));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("assign it somewhere, for example `{name} = 0`"),
            };
            diagnostics.push(Diagnostic::error(map.span, format!("`{name}` never gets a value")).hint(hint));
        }
    }

    /// The maps of the typed program.
    pub fn finish(&self, config: &hir::Config) -> Vec<hir::Map> {
        self.used.iter().map(|(name, map)| self.finish_map(name, map, config)).collect()
    }

    fn finish_map(&self, name: &str, map: &Map, config: &hir::Config) -> hir::Map {
        let keyed = map.keyed.is_some_and(|it| it.0);
        let declared = self.declared.get(name);
        let known = self.known(name);
        let entries = match (declared, known) {
            (Some(declared), _) => declared.size,
            (None, Some(known)) => known.max_entries.max(config.max_map_keys),
            (None, None) => config.max_map_keys,
        };
        hir::Map {
            name: name.to_owned(),
            key: keyed.then(|| map.key.ty().clone()),
            value: map.value.ty().clone(),
            kind: self.kind(name),
            max_entries: if keyed { entries } else { 1 },
            span: declared.map_or(map.span, |it| it.span),
        }
    }
}

impl Map {
    /// Nothing is said yet.
    fn open(span: Span) -> Map {
        let (key, value) = (Slot::open(span), Slot::open(span));
        Map { keyed: None, key, value, assigned: false, id: MapId(0), span, known: false }
    }

    /// What it holds says all; uses may still widen it.
    fn known(map: &hir::Map, span: Span) -> Map {
        let slot = |ty: &Ty| Slot { known: Known::ty(ty.clone()), ..Slot::open(span) };
        Map {
            keyed: Some((map.key.is_some(), span)),
            key: map.key.as_ref().map_or(Slot::open(span), slot),
            value: slot(&map.value),
            assigned: true,
            known: true,
            ..Map::open(span)
        }
    }
}

/// What helps when a script means something else by a name than what is known.
fn forget(name: &str) -> String {
    format!("it was filled before; use another name, or forget it with `:clear {name}`")
}

/// Says what made a use wrong: an earlier one at `first`, or that the map was filled before.
fn blame(wrong: Diagnostic, name: &str, known: bool, first: Span, label: String) -> Diagnostic {
    if known { wrong.hint(forget(name)) } else { wrong.label(first, label) }
}

/// A map element that a statement or an expression uses.
pub(super) struct Element<'a> {
    pub name: &'a str,
    pub id: MapId,
    /// For keyed maps; of the map's key type.
    pub key: Option<hir::Expr>,
    /// Of the map with its key.
    pub span: Span,
    /// Reported as used the wrong way: what it holds is of no interest any more.
    pub wrong: bool,
}

impl<'a> Body<'_, 'a> {
    /// A use of the map as a whole: `clear(@m)`.
    pub(super) fn whole_map(&mut self, name: &str, span: Span) -> MapId {
        let (_, new) = self.cx.maps.touch(name, span);
        self.cx.changed |= new;
        self.cx.maps.id(name)
    }

    /// A use of an element: `@m[k]`, or `@m` of a scalar.
    pub(super) fn element(&mut self, name: &'a str, key: &'a [ast::Expr], span: Span) -> Element<'a> {
        let key = self.key_of(key, span);
        self.element_with(name, key, span)
    }

    /// A use of an element whose key is typed already.
    pub(super) fn element_with(&mut self, name: &'a str, key: Option<hir::Expr>, span: Span) -> Element<'a> {
        let (map, new) = self.cx.maps.touch(name, span);
        self.cx.changed |= new;
        let said = *map.keyed.get_or_insert((key.is_some(), span));
        if said.0 != key.is_some() {
            let (without, with) =
                if said.0 { ("without a key", "with one") } else { ("with a key", "without one") };
            let elsewhere = if map.known { "before" } else { "elsewhere" };
            let wrong =
                Diagnostic::error(span, format!("`{name}` is used {without} here and {with} {elsewhere}"));
            let wrong = match map.known {
                true => wrong.hint(forget(name)),
                false => wrong
                    .label(said.1, format!("used {with} here"))
                    .hint("a map has a key in all of its uses or in none; use two maps"),
            };
            self.cx.report(wrong);
            return Element { name, id: self.cx.maps.id(name), key: None, span, wrong: true };
        }
        self.check_kind(name, key.is_some(), &Known::NOTHING, span);
        let key = key.map(|key| self.storable(name, key)).map(|key| self.admit_key(name, key));
        Element { name, id: self.cx.maps.id(name), key, span, wrong: false }
    }

    /// The key between brackets: one value, or a tuple of several.
    fn key_of(&mut self, key: &'a [ast::Expr], span: Span) -> Option<hir::Expr> {
        match key {
            [] => None,
            [one] => Some(self.value(one)),
            several => {
                let items: Vec<_> = several.iter().map(|it| self.value(it)).collect();
                Some(self.tuple(items, span))
            }
        }
    }

    /// Checks that a value can be in a map, which is printed in the end.
    fn storable(&mut self, name: &str, value: hir::Expr) -> hir::Expr {
        if value.ty == Ty::Error || self.cx.is_printable(&value.ty) {
            return value;
        }
        let found = self.cx.name_of(&value.ty);
        self.fail(
            Diagnostic::error(value.span, format!("a whole `{found}` cannot be kept in `{name}`"))
                .hint("keep its members, for example as a tuple"),
        )
    }

    fn admit_key(&mut self, name: &str, key: hir::Expr) -> hir::Expr {
        if matches!(self.cx.maps.kind(name), MapKind::Array | MapKind::Lpm) {
            return self.shape_key(name, key);
        }
        let (map, _) = self.cx.maps.touch(name, key.span);
        let (first, known) = (map.key.span, map.known);
        let admitted = map.key.admit(Known::of(&key), key.span, &self.cx.types);
        let ty = map.key.ty().clone();
        self.cx.note(admitted);
        if admitted == Admitted::Conflict {
            let (found, expected) = self.cx.names_of(&key.ty, &ty);
            let message = format!("the key of `{name}` is `{expected}`, this is `{found}`");
            let label = format!("first used with `{expected}` here");
            return self.fail(blame(Diagnostic::error(key.span, message), name, known, first, label));
        }
        self.warn_lost_sign(admitted, key.span, name);
        infer::coerce(key, &ty)
    }

    /// The element's value type; [`Ty::Error`] while unknown.
    pub(super) fn value_type(&mut self, element: &Element) -> Ty {
        self.cx.maps.touch(element.name, element.span).0.value.ty().clone()
    }

    /// Takes a value into the map: the value in the map's type.
    pub(super) fn admit_value(
        &mut self,
        element: &Element,
        value: hir::Expr,
        sum: bool,
    ) -> Option<hir::Expr> {
        let value = self.storable(element.name, value);
        self.admit_value_type(element, Known::of(&value), value.span, sum).map(|ty| infer::coerce(value, &ty))
    }

    /// Takes a value's type into the map: the map's type.
    pub(super) fn admit_value_type(
        &mut self,
        element: &Element,
        new: Known,
        span: Span,
        sum: bool,
    ) -> Option<Ty> {
        if element.wrong {
            return None;
        }
        self.check_kind(element.name, true, &new, span);
        let (map, _) = self.cx.maps.touch(element.name, element.span);
        map.assigned = true;
        let (first, known) = (map.value.span, map.known);
        let admitted = match sum {
            true => map.value.admit_sum(new.clone(), span, &self.cx.types),
            false => map.value.admit(new.clone(), span, &self.cx.types),
        };
        let ty = map.value.ty().clone();
        self.cx.note(admitted);
        if admitted == Admitted::Conflict {
            let (found, held) = self.cx.names_of(&new.ty, &ty);
            let message = match (&ty, &new.ty) {
                (Ty::Agg(agg), Ty::Agg(other)) => format!(
                    "`{}` is a `{}`, it cannot also be a `{}`",
                    element.name,
                    agg_name(agg),
                    agg_name(other)
                ),
                (Ty::Agg(agg), _) => {
                    format!("`{}` is a `{}`, it cannot be assigned", element.name, agg_name(agg))
                }
                (_, Ty::Agg(agg)) => {
                    format!("`{}` holds `{held}`, it cannot also be a `{}`", element.name, agg_name(agg))
                }
                _ => format!("`{}` holds `{held}`, this is `{found}`", element.name),
            };
            let label = format!("`{held}` from here");
            self.cx.report(blame(Diagnostic::error(span, message), element.name, known, first, label));
            return None;
        }
        self.warn_lost_sign(admitted, span, element.name);
        Some(ty)
    }

    /// The map that a loop runs over, and the type of its entries.
    pub(super) fn entries(&mut self, map: &'a ast::Expr) -> Option<(MapId, Ty)> {
        let ast::ExprKind::Map { name, key } = &map.kind else {
            self.cx.report(
                Diagnostic::error(map.span, "`for` runs over a range or a map")
                    .hint("write `for ($i : 0..n)` or `for ($kv : @map)`"),
            );
            return None;
        };
        if let Some(key) = key.first() {
            self.cx.report(
                Diagnostic::error(key.span, "`for` runs over a whole map, this is one element")
                    .hint(format!("write `for ($kv : {name})`")),
            );
            return None;
        }
        let id = self.whole_map(name, map.span);
        let (found, _) = self.cx.maps.touch(name, map.span);
        let (keyed, key, value) = (found.keyed, found.key.ty().clone(), found.value.ty().clone());
        if let Some((false, first)) = keyed {
            self.cx.report(
                Diagnostic::error(map.span, format!("`{name}` has no keys to run over"))
                    .label(first, "used without a key here"),
            );
            return None;
        }
        if self.cx.maps.kind(name) == MapKind::Lpm {
            let wrong = format!("the kernel does not walk `{name}`, an lpm map");
            self.cx.report(Diagnostic::error(map.span, wrong).hint("keep its networks in a `hash` as well"));
            return None;
        }
        let value = match &value {
            Ty::Agg(agg) => match agg_value(agg) {
                Some(ty) => ty,
                None => {
                    let agg = agg_name(agg);
                    let wrong = format!("`{name}` is a `{agg}`, a loop cannot run over it");
                    let hint = format!("to show it use `print({name})`");
                    self.cx.report(Diagnostic::error(map.span, wrong).hint(hint));
                    return None;
                }
            },
            _ => value,
        };
        let known = key != Ty::Error && value != Ty::Error;
        Some((id, if known { Ty::Tuple(vec![key, value]) } else { Ty::Error }))
    }

    /// The element as a value.
    pub(super) fn read_element(&mut self, element: Element) -> hir::Expr {
        let span = element.span;
        if element.wrong {
            return self.unknown(span);
        }
        let ty = self.value_type(&element);
        let (map, key) = (element.id, element.key.map(Box::new));
        match &ty {
            Ty::Error => self.unknown(span),
            Ty::Agg(agg) => match agg_value(agg) {
                Some(ty) => hir::Expr { kind: hir::ExprKind::AggValue { map, key }, ty, span },
                None => self.fail(
                    Diagnostic::error(
                        span,
                        format!("`{}` is a `{}`, which is not one number", element.name, agg_name(agg)),
                    )
                    .hint(format!("to show it use `print({})`", element.name)),
                ),
            },
            _ => hir::Expr { kind: hir::ExprKind::Map { map, key }, ty, span },
        }
    }
}

/// The function that makes such an aggregation.
pub(super) fn agg_name(agg: &Agg) -> &'static str {
    match agg {
        Agg::Count => "count",
        Agg::Sum { .. } => "sum",
        Agg::Min { .. } => "min",
        Agg::Max { .. } => "max",
        Agg::Avg { .. } => "avg",
        Agg::Stats { .. } => "stats",
        Agg::Hist { .. } => "hist",
        Agg::Lhist { .. } => "lhist",
    }
}

/// The type of an aggregation read as a number.
fn agg_value(agg: &Agg) -> Option<Ty> {
    match agg {
        Agg::Count => Some(Ty::U64),
        Agg::Sum { signed } | Agg::Min { signed } | Agg::Max { signed } | Agg::Avg { signed } => {
            Some(if *signed { Ty::I64 } else { Ty::U64 })
        }
        Agg::Stats { .. } | Agg::Hist { .. } | Agg::Lhist { .. } => None,
    }
}
