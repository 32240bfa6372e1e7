//! Tree to typed program: names, types over the whole script, casts, constants, probes.
//!
//! Comes in: the tree of a script, without macros and imports, and what the command line adds. Goes out: the typed program,
//! if there is no error, and every diagnostic. Never reads anything but through [`Host`].
//!
//! Types are inferred by walking all probes in rounds. A round reads the types of maps and
//! variables as the rounds before left them and widens them by what it sees; when a round changes
//! nothing, what it made is the program and what it reported are the diagnostics.

mod actions;
mod aggregations;
mod assign;
mod c_macros;
mod calls;
mod casts;
mod comptime;
mod config;
mod exprs;
mod functions;
mod infer;
mod literals;
mod maps;
mod operators;
mod options;
mod packets;
mod places;
mod probes;
mod scopes;
mod stacks;
mod stmts;
mod tables;
mod types;
mod uses;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use types::integer;

use crate::ast;
use crate::c;
use crate::diagnostic::{Diagnostic, has_errors};
use crate::hir;
use crate::host::{Host, TypeKind};
use crate::source::{Sources, Span};
use crate::ty::{Space, Ty, TypeTable};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most rounds of inference.
const MOST_ROUNDS: u32 = 200;

/// What the command line adds to a script.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `$1`, `$2`, …
    pub params: Vec<String>,
    /// `--name=value`, or `--name` alone, for `getopt`; without the dashes, in order.
    pub named: Vec<(String, Option<String>)>,
    /// `-p`: programs of kernel-wide probes only act in this process.
    pub pid: Option<u32>,
    /// Configuration from the environment: name (lower case) and value; wins over the script.
    pub environment: Vec<(String, String)>,
    /// What the script may do beyond observing.
    pub allow: Allow,
    /// `-k`: programs report helper calls that fail.
    pub report_failures: bool,
    /// Takes what the host cannot tell as the script has it, with a warning instead of an error: for
    /// scripts that are checked, or built, on another machine than they run on.
    pub assume: bool,
    /// Maps that hold something before the script runs.
    pub known: KnownMaps,
}

/// Maps that hold something before the script runs, as at a prompt: the script may read them without
/// giving them a value, and may not use them as anything else.
#[derive(Clone, Debug, Default)]
pub struct KnownMaps {
    /// Of a program that was typed before.
    pub maps: Vec<hir::Map>,
    /// The types that they name. A program that knows these maps has this table as the beginning of
    /// its own, so what was known stays right when that table takes this one's place.
    pub types: TypeTable,
}

impl KnownMaps {
    /// Takes note of the maps of a program that was typed knowing these.
    pub fn learn(&mut self, program: &hir::Program) {
        self.maps.retain(|known| program.maps.iter().all(|it| it.name != known.name));
        self.maps.extend(program.maps.iter().cloned());
        self.types = program.types.clone();
    }
}

/// What a script may do beyond observing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// Verdicts other than the default one.
    pub verdict: bool,
}

/// Types a script. The program is there exactly when no diagnostic is an error; with
/// [`Options::assume`] it is also missing where a warning says that something was not looked at.
pub fn analyze(
    script: &ast::Script,
    sources: &Sources,
    options: &Options,
    host: &dyn Host,
) -> (Option<hir::Program>, Vec<Diagnostic>) {
    let mut types = options.known.types.clone();
    let (block, found) = c::read(script, sources, host, &mut types);
    let mut cx = Context { types, diagnostics: found, ..Context::new(options, sources, host, &block) };
    config::read(&mut cx, script);
    maps::declare(&mut cx, script);
    let probes = probes::expand(&mut cx, script);
    functions::declare(&mut cx, script);
    let items = std::mem::take(&mut cx.diagnostics);
    let (probes, functions) = infer_all(&mut cx, &probes);
    let diagnostics = in_order(items, cx.diagnostics, sources);
    if has_errors(&diagnostics) || cx.unseen {
        return (None, diagnostics);
    }
    let program = hir::Program {
        sources: sources.clone(),
        types: cx.types,
        maps: cx.maps.finish(&cx.config),
        actions: cx.actions,
        probes,
        functions,
        config: cx.config,
        parameters: cx.parameters.into_iter().map(|it| it.0).collect(),
    };
    (Some(program), diagnostics)
}

/// What is known of the script as a whole.
struct Context<'a> {
    options: &'a Options,
    sources: &'a Sources,
    host: &'a dyn Host,
    /// The script's C code.
    block: &'a c::Block,
    /// Macros being looked into, the innermost last, and how many more may be.
    macros: c_macros::Macros<'a>,
    config: hir::Config,
    types: TypeTable,
    /// Answers of [`Host::kernel_type`].
    kernel_types: HashMap<(TypeKind, String), Option<Ty>>,
    /// Answers of [`Host::enumerator`].
    enumerators: HashMap<String, Option<(Ty, i64)>>,
    maps: maps::Maps<'a>,
    functions: functions::Functions<'a>,
    /// Types of variables, by the body's rank (probes, then functions) and by the place of the declaration.
    variables: BTreeMap<(usize, Span), infer::Slot>,
    /// Where uint64 met negative values, and in which map or variable: told once types stand still.
    lost_sign: BTreeMap<Span, String>,
    /// What `getopt` was asked for.
    parameters: options::Parameters,
    actions: Vec<hir::Action>,
    /// Actions by the place of their call.
    sent: HashMap<Span, Vec<hir::ActionId>>,
    /// Those of this round.
    diagnostics: Vec<Diagnostic>,
    /// Whether this round widened a type.
    changed: bool,
    /// Whether something was assumed that has no type: [`Ty::Error`] then is no error.
    unseen: bool,
}

impl<'a> Context<'a> {
    fn new(options: &'a Options, sources: &'a Sources, host: &'a dyn Host, block: &'a c::Block) -> Self {
        Context {
            options,
            sources,
            host,
            block,
            macros: c_macros::Macros::default(),
            config: hir::Config::default(),
            types: TypeTable::default(),
            kernel_types: HashMap::new(),
            enumerators: HashMap::new(),
            maps: maps::Maps::new(&options.known.maps),
            functions: functions::Functions::default(),
            variables: BTreeMap::new(),
            lost_sign: BTreeMap::new(),
            parameters: options::Parameters::new(),
            actions: Vec::new(),
            sent: HashMap::new(),
            diagnostics: Vec::new(),
            changed: false,
            unseen: false,
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Makes integers of variables that a bare `let` declares and nothing assigns, and of maps that
    /// are only assigned from themselves (`@x = @x + 1`); whether there was one.
    fn settle_unassigned(&mut self) -> bool {
        if self.unseen || has_errors(&self.diagnostics) {
            return false;
        }
        let slots = self.variables.values_mut().chain(self.maps.assigned_values());
        let unassigned: Vec<_> = slots.filter(|it| *it.ty() == Ty::Error).collect();
        let any = !unassigned.is_empty();
        unassigned.into_iter().for_each(|it| it.known = infer::Known::ty(Ty::I64));
        any
    }

    fn report_lost_signs(&mut self) {
        for (span, name) in std::mem::take(&mut self.lost_sign) {
            let message = format!("`{name}` holds both `uint64` and signed values, so it is `int64`");
            self.report(Diagnostic::warning(span, message).hint("values from 2^63 on will show as negative"));
        }
    }

    /// The names of two types that do not go together, told apart by their memory if by nothing else.
    fn names_of(&self, a: &Ty, b: &Ty) -> (String, String) {
        let (a_name, b_name) = (self.name_of(a), self.name_of(b));
        match (a, b) {
            (Ty::Ptr(_, a), Ty::Ptr(_, b)) if a_name == b_name => {
                (format!("{a_name} in {} memory", whose(*a)), format!("{b_name} in {} memory", whose(*b)))
            }
            _ => (a_name, b_name),
        }
    }

    /// The type's name as a script would write it.
    fn name_of(&self, ty: &Ty) -> String {
        hir::text::type_name(ty, &self.types)
    }
}

fn whose(space: Space) -> &'static str {
    match space {
        Space::Kernel => "kernel",
        Space::User => "user",
        Space::Ctx => "context",
        Space::Bpf => "its own",
    }
}

/// Walks all probes and functions until their types stand still; the last round's result.
fn infer_all<'a>(
    cx: &mut Context<'a>,
    probes: &[probes::Instance<'a>],
) -> (Vec<hir::Probe>, Vec<hir::Function>) {
    let mut round = 0;
    loop {
        cx.changed = false;
        cx.maps.rank();
        cx.actions.clear();
        cx.parameters.clear();
        cx.sent.clear();
        cx.diagnostics.clear();
        cx.macros.rewind();
        let typed = probes.iter().enumerate().map(|(idx, probe)| stmts::probe(cx, idx, probe)).collect();
        let typed = (typed, functions::bodies(cx, probes.len()));
        round += 1;
        if !cx.changed && !cx.settle_unassigned() {
            cx.maps.report_untyped(&mut cx.diagnostics);
            cx.report_lost_signs();
            functions::check_calls(cx, probes);
            return typed;
        }
        // Each round carries a type one assignment further, so this is a long chain of maps.
        if round == MOST_ROUNDS {
            let span = probes.first().map_or(Span::default(), |it| it.span);
            cx.report(Diagnostic::error(
                span,
                "the types of this script's maps depend on each other in too long a chain",
            ));
            return typed;
        }
    }
}

/// All diagnostics in order of place. A body that is typed for several probe types reports a
/// mistake once, and so does an argument that a macro names several times.
fn in_order(items: Vec<Diagnostic>, bodies: Vec<Diagnostic>, sources: &Sources) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    let mut is_new =
        |it: &Diagnostic| seen.insert((sources.written(it.span), it.severity == crate::Severity::Error));
    let bodies = bodies.into_iter().filter(|it| is_new(it));
    let mut all: Vec<_> = items.into_iter().chain(bodies).collect();
    all.sort_by_key(|it| sources.written(it.span));
    all
}
