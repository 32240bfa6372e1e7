//! Cuts a failing program down: leaves statements away and puts simpler expressions in place of
//! others, as long as it still fails in the same way.

use super::Bench;
use super::execute::{self, Failure, Setting};
use super::syntax::{Node, Sort};
use std::time::{Duration, Instant};

/// Time after which a program is small enough: a verifier that gives up only after a million
/// instructions does so for every attempt.
const MOST_TIME: Duration = Duration::from_secs(20);

/// The smallest program found that fails as `failure` says.
pub fn shrink(program: &Node, failure: &Failure, setting: &Setting, bench: &Bench) -> Node {
    let mut smallest = program.clone();
    let end = Instant::now() + MOST_TIME;
    loop {
        let before = smallest.size();
        let mut place = 0;
        while let Some(node) = at(&smallest, place) {
            let mut cut = false;
            for simpler in simpler(node) {
                if Instant::now() > end {
                    return smallest;
                }
                let candidate = replaced(&smallest, place, simpler);
                let res = execute::check(&setting.script(&[&candidate]), setting, bench);
                if res.is_err_and(|it| it.kind == failure.kind) {
                    smallest = candidate;
                    cut = true;
                    break;
                }
            }
            place += usize::from(!cut);
        }
        if smallest.size() >= before {
            return smallest;
        }
    }
}

/// What may stand in place of a piece, the most promising first; all of it is smaller.
fn simpler(node: &Node) -> Vec<Node> {
    match &node.sort {
        Sort::Program => Vec::new(),
        Sort::Body => fewer(node),
        sort => {
            let simplest = Node::simplest(sort).filter(|it| it.text() != node.text());
            let is_expression = *sort != Sort::Statement;
            let simplest =
                simplest.filter(|it| it.size() < node.size() || is_expression && !is_literal(node));
            let parts = node.descendants().into_iter().filter(|it| it.sort == *sort).cloned();
            simplest.into_iter().chain(parts).collect()
        }
    }
}

/// Whether a leaf is as simple as any: another literal would go round in circles.
fn is_literal(node: &Node) -> bool {
    node.parts.is_empty() && !node.template.contains(['$', '@'])
}

/// A body with fewer statements: without halves, quarters and so on, down to single ones.
fn fewer(body: &Node) -> Vec<Node> {
    let n = body.parts.len();
    let mut found = Vec::new();
    let mut len = n;
    while len > 0 {
        for start in (0..n).step_by(len) {
            let mut parts = body.parts.clone();
            parts.drain(start..(start + len).min(n));
            found.push(Node::body(parts));
        }
        len /= 2;
    }
    found
}

/// The piece at a place, counted in order of text.
fn at(node: &Node, place: usize) -> Option<&Node> {
    if place == 0 {
        return Some(node);
    }
    let mut place = place - 1;
    for part in &node.parts {
        let size = part.size();
        if place < size {
            return at(part, place);
        }
        place -= size;
    }
    None
}

/// The program with another piece at a place.
fn replaced(node: &Node, place: usize, by: Node) -> Node {
    if place == 0 {
        return by;
    }
    let mut copy = node.clone();
    let mut place = place - 1;
    for part in &mut copy.parts {
        let size = part.size();
        if place < size {
            *part = replaced(part, place, by);
            break;
        }
        place -= size;
    }
    copy
}
