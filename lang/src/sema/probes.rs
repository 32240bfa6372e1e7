//! Attach points: wildcards become targets, and targets that a body cannot tell apart share one
//! typed probe.

use super::Context;
use super::uses::Uses;
use crate::ast;
use crate::attach::{self, Point, Target};
use crate::diagnostic::{Diagnostic, nearest};
use crate::hir::MissingProbes;
use crate::host::{FunctionTy, Matches};
use crate::probes::{Context as Receives, ProbeKind};
use crate::source::Span;
use crate::tracefs;
use crate::ty::{Field, StructId, Ty};
use crate::usdt;
use std::collections::HashSet;
use std::rc::Rc;

/// A body with targets that it cannot tell apart.
pub(super) struct Instance<'a> {
    pub predicate: Option<&'a ast::Expr>,
    pub body: &'a ast::Block,
    /// Of the attach points.
    pub span: Span,
    pub kind: ProbeKind,
    /// Never empty.
    pub points: Vec<Point>,
    /// The tracepoint's record, when it is used.
    pub record: Option<StructId>,
    /// The function's type, when it is used and known.
    pub signature: Option<Rc<FunctionTy>>,
    /// Of a static probe, when any are used.
    pub arguments: Vec<usdt::Argument>,
    /// System call tracepoints carry pointers into user memory.
    pub syscall: bool,
}

impl<'a> Instance<'a> {
    /// What a function's body sees: a probe without a context, as `begin` is one.
    pub fn of_function(function: &'a ast::Function) -> Self {
        let kind = ProbeKind::Begin;
        Instance {
            predicate: None,
            body: &function.body,
            span: function.name.span,
            kind,
            points: vec![Point { kind, target: Target::None }],
            record: None,
            signature: None,
            arguments: Vec::new(),
            syscall: false,
        }
    }
}

/// What a body sees of a target. Targets that look the same share a program.
#[derive(PartialEq)]
struct Shape {
    kind: ProbeKind,
    syscall: bool,
    /// Used members of the record, `None` where it has no such member.
    fields: Vec<Option<Field>>,
    /// Used parameters and their places.
    params: Vec<Option<(usize, String, Ty)>>,
    /// The result and its place.
    result: Option<(usize, Ty)>,
    /// Where a static probe's arguments are.
    arguments: Vec<usdt::Argument>,
}

/// Every body with its targets, in the order of the script.
pub(super) fn expand<'a>(cx: &mut Context<'a>, script: &'a ast::Script) -> Vec<Instance<'a>> {
    let mut instances = Vec::new();
    let mut n_probes = 0;
    for item in &script.items {
        let ast::Item::Probe(probe) = item else { continue };
        n_probes += 1;
        // Written ones are counted first, so that no time goes into looking for them.
        let mut diagnostic = too_many(cx, probe.span, probe.points.len(), 0);
        if diagnostic.is_none() {
            expand_probe(cx, probe, &mut instances);
            let n_points = instances.iter().map(|it| it.points.len()).sum();
            diagnostic = too_many(cx, probe.span, n_points, instances.len());
        }
        if let Some(diagnostic) = diagnostic {
            cx.report(diagnostic);
            return Vec::new();
        }
    }
    if n_probes == 0 && cx.diagnostics.is_empty() {
        cx.report(
            Diagnostic::error(Span::default(), "the script has no probe")
                .hint("for example `BEGIN { print(1); }`"),
        );
    } else if instances.is_empty() && !crate::diagnostic::has_errors(&cx.diagnostics) {
        cx.report(Diagnostic::error(Span::default(), "no probe of the script exists on this machine"));
    }
    instances
}

/// What there is to say of more programs or targets than are allowed.
fn too_many(cx: &Context, span: Span, n_points: usize, n_programs: usize) -> Option<Diagnostic> {
    let found = [
        (n_points, "probes", "max_probes", cx.config.max_probes),
        (n_programs, "programs", "max_bpf_progs", cx.config.max_bpf_progs),
    ];
    let (found, what, setting, most) = found.into_iter().find(|it| it.0 > it.3 as usize)?;
    let message = format!("{found} {what} are more than `{setting}` allows ({most})");
    let hint = format!("config = {{ {setting} = {found}; }}, if the machine can bear it");
    Some(Diagnostic::error(span, message).hint(hint))
}

fn expand_probe<'a>(cx: &mut Context<'a>, probe: &'a ast::Probe, instances: &mut Vec<Instance<'a>>) {
    let uses = Uses::of(probe, cx.block);
    let first = instances.len();
    let mut shapes: Vec<Shape> = Vec::new();
    // Attach points may overlap.
    let mut seen = HashSet::new();
    for written in &probe.points {
        for point in targets(cx, written) {
            if !seen.insert(point.clone()) {
                continue;
            }
            let n_structs = cx.types.structs.len();
            let (shape, record, signature) = shape(cx, &point, &uses, written.span);
            // A body that reads its target's name has a program for each.
            let alike = if uses.name { None } else { shapes.iter().position(|it| *it == shape) };
            if let Some(alike) = alike {
                let known = &mut instances[first + alike];
                // The types of this target's record equal those of the earlier one.
                if point.kind.context() == Receives::TracepointRecord && record != known.record {
                    cx.types.structs.truncate(n_structs);
                }
                known.points.push(point);
                continue;
            }
            let (kind, syscall, arguments) = (shape.kind, shape.syscall, shape.arguments.clone());
            shapes.push(shape);
            let span = probe.points.iter().fold(written.span, |span, it| span.to(it.span));
            let (predicate, body) = (probe.predicate.as_ref(), &probe.body);
            instances.push(Instance {
                predicate,
                body,
                span,
                kind,
                points: vec![point],
                record,
                signature,
                arguments,
                syscall,
            });
        }
    }
}

/// The targets that an attach point means.
fn targets(cx: &mut Context, written: &ast::AttachPoint) -> Vec<Point> {
    let point = match attach::parse(&written.text, written.span, &cx.options.params) {
        Ok(point) => point,
        Err(diagnostic) => {
            cx.report(diagnostic);
            return Vec::new();
        }
    };
    if matches!(
        point.target,
        Target::None | Target::Timer(_) | Target::Counter { .. } | Target::Memory { .. } | Target::Signal
    ) {
        return vec![point];
    }
    let missing = match cx.host.matches(&point) {
        Matches::Points(points) if !points.is_empty() => return points,
        Matches::Points(_) => {
            let name = point.name();
            let near = nearest_point(&name, &cx.host.similar(&point));
            let near = near.map(|it| format!("did you mean `{it}`?"));
            Diagnostic::error(written.span, format!("`{name}` does not exist on this machine"))
                .maybe_hint(near)
        }
        Matches::Unavailable(reason) if cx.options.assume => {
            let message = format!("`{}` is taken as it stands: {reason}", point.name());
            cx.report(Diagnostic::warning(written.span, message));
            // No object is made for places that were not looked up.
            cx.unseen |= point.name().contains('*');
            return vec![point];
        }
        Matches::Unavailable(reason) => {
            Diagnostic::error(written.span, format!("`{}` is not possible: {reason}", point.name())).machine()
        }
    };
    match cx.config.missing_probes {
        MissingProbes::Error => cx.report(missing),
        MissingProbes::Warn => cx.report(Diagnostic { severity: crate::Severity::Warning, ..missing }),
        MissingProbes::Ignore => {}
    }
    Vec::new()
}

/// The name that was meant: one that differs in its last part, or else any.
fn nearest_point(name: &str, similar: &[String]) -> Option<String> {
    let (head, last) = name.rsplit_once(':').unwrap_or(("", name));
    let siblings = similar.iter().filter_map(|it| it.rsplit_once(':').filter(|it| it.0 == head));
    let sibling = nearest(last, siblings.map(|it| it.1)).map(|it| format!("{head}:{it}"));
    sibling.or_else(|| nearest(name, similar.iter().map(String::as_str)).map(str::to_owned))
}

/// What the body sees of a target, and the types it needs for that.
fn shape(
    cx: &mut Context,
    point: &Point,
    uses: &Uses,
    span: Span,
) -> (Shape, Option<StructId>, Option<Rc<FunctionTy>>) {
    let mut shape = Shape {
        kind: point.kind,
        syscall: matches!(&point.target, Target::Tracepoint { category, .. } if category == "syscalls"),
        fields: Vec::new(),
        params: Vec::new(),
        result: None,
        arguments: Vec::new(),
    };
    let (mut record, mut signature) = (None, None);
    match (point.kind.context(), &point.target) {
        (Receives::TracepointRecord, Target::Tracepoint { category, event }) if uses.any_args() => {
            record = tracepoint_record(cx, category, event, span);
            let fields = record.and_then(|id| cx.types.struct_def(id).fields.as_deref()).unwrap_or_default();
            shape.fields = match uses.all_args {
                true => fields.iter().cloned().map(Some).collect(),
                false => {
                    uses.args.iter().map(|name| fields.iter().find(|it| it.name == *name).cloned()).collect()
                }
            };
        }
        (_, Target::Usdt { location: Some(location), .. }) if uses.numbered => {
            match usdt::arguments(&location.arguments) {
                Ok(arguments) => shape.arguments = arguments,
                Err(reason) => {
                    let message = format!("an argument of `{}` cannot be read: {reason}", point.name());
                    cx.report(Diagnostic::error(span, message));
                }
            }
        }
        (Receives::BtfArguments, Target::Function { module, name, .. }) if uses.any_args() || uses.retval => {
            let name = module.as_ref().map_or(name.clone(), |module| format!("{module}:{name}"));
            signature = cx.host.function(point.kind, &name, &mut cx.types).map(Rc::new);
            if let Some(signature) = &signature {
                see_function(&mut shape, signature, uses);
            }
        }
        _ => {}
    }
    (shape, record, signature)
}

fn see_function(shape: &mut Shape, signature: &FunctionTy, uses: &Uses) {
    let params =
        || signature.params.iter().enumerate().map(|(idx, (name, ty))| (idx, name.clone(), ty.clone()));
    shape.params = match uses.all_args {
        true => params().map(Some).collect(),
        false => uses.args.iter().map(|name| params().find(|it| it.1 == *name)).collect(),
    };
    shape.result = uses.retval.then(|| (signature.params.len(), signature.result.clone()));
}

/// The struct of the tracepoint's record.
fn tracepoint_record(cx: &mut Context, category: &str, event: &str, span: Span) -> Option<StructId> {
    let name = format!("tracepoint:{category}:{event}");
    let Some(text) = cx.host.tracepoint_format(category, event) else {
        const HINT: &str = "its `format` file is in tracefs, which needs root";
        let unread = match cx.options.assume {
            true => Diagnostic::warning(span, format!("the arguments of `{name}` are not checked")),
            false => {
                Diagnostic::error(span, format!("the arguments of `{name}` cannot be read on this machine"))
            }
        };
        cx.unseen |= cx.options.assume;
        cx.report(unread.hint(HINT));
        return None;
    };
    match tracefs::parse_format(&text, &name, &mut cx.types) {
        Ok(id) => {
            let most = cx.config.max_strlen + 1;
            let fields = cx.types.structs[id.0 as usize].fields.iter_mut().flatten();
            fields.filter(|it| it.data_loc).for_each(|it| it.ty = Ty::Str(most));
            Some(id)
        }
        Err(reason) => {
            cx.report(Diagnostic::error(span, format!("the format of `{name}` cannot be read: {reason}")));
            None
        }
    }
}
