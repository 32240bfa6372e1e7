//! Statements.

use super::expressions::brackets;
use super::{Generator, Holds, Loop, Map, Variable};
use crate::differential::syntax::{Node, Sort};

/// Loops inside one another, at most.
const DEEPEST_LOOPS: usize = 2;

/// Pieces of a loop's body, loops within it included.
const LOOP_BUDGET: usize = 8;

impl Generator {
    /// Any statement.
    pub fn statement(&mut self, depth: usize) -> Node {
        if depth > 3 || !self.spend() {
            return self.simple_statement(depth);
        }
        match self.random.below(20) {
            0..=2 => self.branch(depth),
            3 if self.loops.len() < DEEPEST_LOOPS => self.looped(depth),
            5 if self.loops.last() == Some(&Loop::Rounds) => self.jump(depth),
            6 if self.random.chance(10) => {
                let condition = self.expression(&Sort::Bool, 3);
                Node::statement("if (#) { return; }", vec![condition])
            }
            7 => {
                let body = self.block(depth);
                Node::statement("{\n#}", vec![body])
            }
            _ => self.simple_statement(depth),
        }
    }

    /// A statement without statements in it, but for those of block expressions.
    pub fn simple_statement(&mut self, depth: usize) -> Node {
        match self.random.below(20) {
            0..=5 => self.set_variable(depth),
            6 | 7 => self.change_variable(depth).unwrap_or_else(|| self.set_variable(depth)),
            8..=10 => match self.some_map(|map| matches!(map.holds, Holds::Value(_))) {
                Some(map) => self.fill(&map),
                None => self.set_variable(depth),
            },
            11..=14 => match self.some_map(|map| matches!(map.holds, Holds::Aggregation { .. })) {
                Some(map) => self.fill(&map),
                None => self.set_variable(depth),
            },
            15 | 16 => self.change_map(depth).unwrap_or_else(|| self.set_variable(depth)),
            17 => match self.step_map().or_else(|| self.step_variable()) {
                Some(step) => Node::statement("#;", vec![step]),
                None => self.set_variable(depth),
            },
            18 => match self.deletion() {
                Some((template, key)) => Node::statement(template + ";", key),
                None => self.set_variable(depth),
            },
            _ => {
                let sort = self.sort(0);
                let value = self.expression(&sort, depth);
                Node::statement("_ = #;", vec![value])
            }
        }
    }

    fn block(&mut self, depth: usize) -> Node {
        let before = self.variables.len();
        let n_statements = 1 + self.random.below(3);
        let mut statements = Vec::new();
        for _ in 0..n_statements {
            let statement = self.statement(depth + 1);
            statements.push(statement);
        }
        self.variables.truncate(before);
        Node::body(statements)
    }

    fn branch(&mut self, depth: usize) -> Node {
        let condition = self.expression(&Sort::Bool, 1);
        let then = self.block(depth);
        match self.random.below(3) {
            0 => Node::statement("if (#) {\n#}", vec![condition, then]),
            1 => {
                let otherwise = self.block(depth);
                Node::statement("if (#) {\n#} else {\n#}", vec![condition, then, otherwise])
            }
            _ => {
                let second = self.expression(&Sort::Bool, 2);
                let parts = vec![condition, then, second, self.block(depth), self.block(depth)];
                Node::statement("if (#) {\n#} else if (#) {\n#} else {\n#}", parts)
            }
        }
    }

    /// A loop with a small body: the verifier's work grows with the ways through it to the power of
    /// its rounds.
    fn looped(&mut self, depth: usize) -> Node {
        let budget = self.budget;
        self.budget = budget.min(LOOP_BUDGET);
        let spendable = self.budget;
        let node = self.looped_within(depth);
        self.budget += budget - spendable;
        node
    }

    fn looped_within(&mut self, depth: usize) -> Node {
        let rounds = self.random.below(6);
        let before = self.variables.len();
        let counter = self.name();
        let kind = self.random.below(4);
        let statement = match kind {
            0 => {
                self.loops.push(Loop::Copies);
                let body = self.block(depth);
                Node::statement(format!("unroll ({}) {{\n#}}", rounds + 1), vec![body])
            }
            1 if self.open_loops => {
                let condition = self.expression(&Sort::Bool, 3);
                self.variables.push(counting(&counter));
                self.loops.push(Loop::Rounds);
                let body = self.block(depth);
                let text = format!("{counter} = 0;\nwhile ({counter} < {rounds} && #) {{\n{counter}++;\n#}}");
                Node::statement(text, vec![condition, body])
            }
            _ => {
                let start = self.random.below(10) as i64 - 5;
                self.variables.push(counting(&counter));
                self.loops.push(Loop::Rounds);
                let body = self.block(depth);
                let text = format!("for ({counter} : {start}..{}) {{\n#}}", start + rounds as i64);
                Node::statement(text, vec![body])
            }
        };
        self.loops.pop();
        self.variables.truncate(before);
        statement
    }

    fn jump(&mut self, depth: usize) -> Node {
        let jump = if self.random.chance(50) { "break" } else { "continue" };
        let condition = self.expression(&Sort::Bool, depth + 1);
        Node::statement(format!("if (#) {{ {jump}; }}"), vec![condition])
    }

    fn set_variable(&mut self, depth: usize) -> Node {
        let known: Vec<Variable> = self.variables.iter().filter(|it| !it.counter).cloned().collect();
        if !known.is_empty() && self.random.chance(45) {
            let Variable { name, sort, .. } = self.random.pick(&known).clone();
            let value = self.expression(&sort, depth);
            return Node::statement(format!("{name} = #;"), vec![value]);
        }
        let sort = self.sort(2);
        let value = self.expression(&sort, depth);
        let name = self.name();
        let template = match (&sort, self.random.below(10)) {
            (Sort::Int, 0) => {
                let types = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"];
                format!("let {name}: {} = #;", self.random.pick(&types))
            }
            (_, 1) => format!("let {name} = #;"),
            _ => format!("{name} = #;"),
        };
        self.variables.push(Variable { name, sort, counter: false });
        Node::statement(template, vec![value])
    }

    fn change_variable(&mut self, depth: usize) -> Option<Node> {
        let known: Vec<Variable> =
            self.variables.iter().filter(|it| !it.counter && it.sort == Sort::Int).cloned().collect();
        if known.is_empty() {
            return None;
        }
        let name = self.random.pick(&known).name.clone();
        let (op, value) = self.change(depth);
        Some(Node::statement(format!("{name} {op}= #;"), vec![value]))
    }

    fn change_map(&mut self, depth: usize) -> Option<Node> {
        let map = self.some_map(|map| matches!(map.holds, Holds::Value(Sort::Int)))?;
        let mut parts = self.key(&map);
        let (op, value) = self.change(depth);
        parts.push(value);
        Some(Node::statement(format!("{}{} {op}= #;", map.name, brackets(&map)), parts))
    }

    /// The operator and the operand of a compound assignment.
    fn change(&mut self, depth: usize) -> (&'static str, Node) {
        let op = *self.random.pick(&["+", "+", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"]);
        let value = match op {
            "<<" | ">>" => Node::leaf(Sort::Int, self.random.below(64).to_string()),
            "/" | "%" => Node::leaf(Sort::Int, (1 + self.random.below(9)).to_string()),
            _ => self.expression(&Sort::Int, depth + 1),
        };
        (op, value)
    }

    /// `@m[k] = …`, by what the map holds.
    pub fn fill(&mut self, map: &Map) -> Node {
        let mut parts = self.key(map);
        let value = match &map.holds {
            Holds::Value(sort) => {
                let value = self.expression(sort, 1);
                parts.push(value);
                "#"
            }
            Holds::Aggregation { call, .. } => {
                if call.contains('#') {
                    let value = self.expression(&Sort::Int, 1);
                    parts.push(value);
                }
                call
            }
        };
        Node::statement(format!("{}{} = {value};", map.name, brackets(map)), parts)
    }
}

fn counting(name: &str) -> Variable {
    Variable { name: name.to_owned(), sort: Sort::Int, counter: true }
}
