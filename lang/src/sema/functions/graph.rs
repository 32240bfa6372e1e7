//! Who calls whom: circles, rows that are too long, and functions that do what a probe cannot.

use super::super::probes::Instance;
use super::super::stmts::Body;
use super::{Context, Functions};
use crate::builtins::Builtin;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most functions that call one another in a row. The kernel gives a program eight frames, and the
/// probe has the first one.
const MOST_NESTED: usize = 7;
/// Most functions of a circle that a message names.
const MOST_SHOWN: usize = 8;

/// Looks at the finished calls: for circles, for too many in a row, and for functions that do what the
/// probes that call them cannot.
pub(in crate::sema) fn check_calls<'a>(cx: &mut Context<'a>, probes: &[Instance<'a>]) {
    let graph = Graph::new(&cx.functions, probes.len());
    let circles = graph.circles();
    circles.iter().for_each(|it| cx.report(recursion(&cx.functions, &graph, it)));
    if circles.is_empty()
        && let Some(chain) = graph.longest_chain().filter(|it| it.len() > MOST_NESTED)
    {
        cx.report(too_deep(&cx.functions, &chain));
    }
    for (idx, probe) in probes.iter().enumerate() {
        refuse_unavailable(cx, &graph, idx, probe);
    }
}

/// Who calls whom.
struct Graph {
    /// For each function those that it calls, and where first.
    callees: Vec<BTreeMap<usize, Span>>,
    /// The same for each probe.
    roots: Vec<BTreeMap<usize, Span>>,
}

impl Graph {
    fn new(functions: &Functions, n_probes: usize) -> Self {
        let mut roots = vec![BTreeMap::new(); n_probes];
        let mut callees = vec![BTreeMap::new(); functions.all.len()];
        for (&(body, callee), &span) in &functions.calls {
            let from = match body.checked_sub(n_probes) {
                Some(function) => &mut callees[function],
                None => &mut roots[body],
            };
            from.insert(callee, span);
        }
        Graph { callees, roots }
    }

    /// The shortest way from a function back to itself, for each circle by its first function.
    fn circles(&self) -> Vec<Vec<usize>> {
        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for start in self.entangled() {
            if !told.contains(&start)
                && let Some(circle) = self.way_back(start)
            {
                told.extend(circle.iter().copied());
                circles.push(circle);
            }
        }
        circles
    }

    /// The functions that are in circles, or between two: those left when what calls none of the
    /// others is taken away, again and again.
    fn entangled(&self) -> Vec<usize> {
        let mut callers = vec![Vec::new(); self.callees.len()];
        for (caller, callees) in self.callees.iter().enumerate() {
            callees.keys().for_each(|&it| callers[it].push(caller));
        }
        let mut n_callees: Vec<usize> = self.callees.iter().map(BTreeMap::len).collect();
        let mut open: Vec<usize> = (0..n_callees.len()).filter(|&it| n_callees[it] == 0).collect();
        while let Some(function) = open.pop() {
            for &caller in &callers[function] {
                n_callees[caller] -= 1;
                if n_callees[caller] == 0 {
                    open.push(caller);
                }
            }
        }
        (0..n_callees.len()).filter(|&it| n_callees[it] > 0).collect()
    }

    fn way_back(&self, start: usize) -> Option<Vec<usize>> {
        let mut callers: Vec<Option<usize>> = vec![None; self.callees.len()];
        let mut open = VecDeque::from([start]);
        while let Some(function) = open.pop_front() {
            if self.callees[function].contains_key(&start) {
                let mut way: Vec<usize> = std::iter::successors(Some(function), |&it| callers[it]).collect();
                way.reverse();
                return Some(way);
            }
            for &callee in self.callees[function].keys() {
                if callee != start && callers[callee].is_none() {
                    callers[callee] = Some(function);
                    open.push_back(callee);
                }
            }
        }
        None
    }

    /// The longest row of functions that call one another; there are no circles.
    fn longest_chain(&self) -> Option<Vec<usize>> {
        // Rows of one more call each; a row that is already too long need not grow.
        let mut chains: Vec<Vec<usize>> = (0..self.callees.len()).map(|it| vec![it]).collect();
        loop {
            let longer = |chain: &Vec<usize>| {
                let last = chain[chain.len() - 1];
                self.callees[last].keys().map(|&it| [chain.as_slice(), &[it]].concat()).collect::<Vec<_>>()
            };
            let mut ends = BTreeSet::new();
            let next: Vec<_> =
                chains.iter().flat_map(longer).filter(|it| ends.insert(it[it.len() - 1])).collect();
            let done = next.is_empty() || chains.first().is_some_and(|it| it.len() > MOST_NESTED);
            if done {
                return chains.into_iter().next();
            }
            chains = next;
        }
    }

    /// The functions that run when a probe does, each with the call in the probe that leads there.
    fn reached(&self, probe: usize) -> BTreeMap<usize, Span> {
        let mut reached = self.roots[probe].clone();
        let mut open: Vec<(usize, Span)> = reached.iter().map(|(&it, &span)| (it, span)).collect();
        while let Some((function, span)) = open.pop() {
            for &callee in self.callees[function].keys() {
                if reached.insert(callee, span).is_none() {
                    open.push((callee, span));
                }
            }
        }
        reached
    }
}

fn recursion(functions: &Functions, graph: &Graph, circle: &[usize]) -> Diagnostic {
    let name = |it: usize| functions.name(it);
    let first = circle[0];
    let next = |idx: usize| circle.get(idx + 1).copied().unwrap_or(first);
    let message = match circle {
        [_] => format!("`{}` calls itself", name(first)),
        _ => {
            let more = if circle.len() > MOST_SHOWN { " → …" } else { "" };
            let names: Vec<_> = circle.iter().take(MOST_SHOWN).map(|&it| name(it)).collect();
            format!("`{0}` calls itself: {1}{more} → {0}", name(first), names.join(" → "))
        }
    };
    let mut diagnostic = Diagnostic::error(graph.callees[first][&next(0)], message);
    for (idx, &function) in circle.iter().enumerate().take(MOST_SHOWN).skip(1) {
        let label = format!("`{}` calls `{}`", name(function), name(next(idx)));
        diagnostic = diagnostic.label(graph.callees[function][&next(idx)], label);
    }
    diagnostic.hint("the kernel has no room for recursion; a loop does the same")
}

fn too_deep(functions: &Functions, chain: &[usize]) -> Diagnostic {
    let names: Vec<_> = chain.iter().map(|&it| functions.name(it)).collect();
    let message = format!("functions call one another more than {MOST_NESTED} deep: {}", names.join(" → "));
    let span = functions.all[chain[0]].item.name.span;
    Diagnostic::error(span, message).hint("the kernel gives a program 8 frames, and the probe has the first")
}

/// Refuses builtins of functions that this probe's kind lacks.
fn refuse_unavailable<'a>(cx: &mut Context<'a>, graph: &Graph, idx: usize, probe: &Instance<'a>) {
    for (function, call) in graph.reached(idx) {
        let reads: Vec<_> = cx
            .functions
            .builtins
            .range((function, Builtin::ALL[0])..)
            .map(|(&key, &span)| (key, span))
            .collect();
        for ((_, builtin), span) in reads.into_iter().take_while(|it| it.0.0 == function) {
            let body = Body::new(cx, idx, probe, None);
            if let Some(diagnostic) = body.unavailable(builtin, span) {
                cx.report(diagnostic.label(call, "called from here"));
            }
        }
    }
}
