//! Expressions of every sort.

use super::{Generator, Holds, Map};
use crate::differential::syntax::{Node, Sort};

/// Integers where widths, signs and carries change.
const LITERALS: [&str; 30] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "63",
    "64",
    "100",
    "127",
    "128",
    "255",
    "256",
    "32767",
    "32768",
    "65535",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "(-1)",
    "(-128)",
    "(-129)",
    "(-2147483648)",
    "(-9223372036854775807)",
];

const INTEGER_TYPES: [&str; 8] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"];

const TEXTS: [&str; 9] = [
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"ab\"",
    "\"abc\"",
    "\"abcdefg\"",
    "\"abcdefgh\"",
    "\"a string of thirty-two bytes....\"",
    "\"a string that is longer than the sixty-three bytes of a short key, by some\"",
];

impl Generator {
    /// An expression.
    pub fn expression(&mut self, sort: &Sort, depth: usize) -> Node {
        if depth > 5 || !self.spend() {
            return self.leaf(sort);
        }
        if self.random.chance(20) {
            return self.leaf(sort);
        }
        if self.random.chance(8) {
            return self.choice(sort, depth);
        }
        match sort {
            Sort::Int => self.int(depth),
            Sort::Bool => self.bool(depth),
            Sort::Text => self.leaf(sort),
            Sort::Tuple(members) => {
                if self.random.chance(30) {
                    return self.leaf(sort);
                }
                let members = members.iter().map(|it| self.expression(it, depth + 1)).collect();
                Node::tuple(sort.clone(), members)
            }
            Sort::Statement | Sort::Body | Sort::Program => unreachable!("not the sort of an expression"),
        }
    }

    /// `c ? a : b`, `if c { a } else { b }`, `{ …; a }`
    fn choice(&mut self, sort: &Sort, depth: usize) -> Node {
        let template = match self.random.below(10) {
            0..=5 => "(# ? # : #)",
            6 | 7 => "(if (#) { # } else { # })",
            _ => {
                let before = self.variables.len();
                let statement = self.simple_statement(depth + 1);
                let value = self.expression(sort, depth + 1);
                self.variables.truncate(before);
                return Node::new(sort.clone(), "{ # # }", vec![Node::body(vec![statement]), value]);
            }
        };
        let condition = self.expression(&Sort::Bool, depth + 1);
        let arms = [self.expression(sort, depth + 1), self.expression(sort, depth + 1)];
        Node::new(sort.clone(), template, [condition].into_iter().chain(arms).collect())
    }

    /// A literal, a variable, a map's value or a tuple's member.
    fn leaf(&mut self, sort: &Sort) -> Node {
        if !self.spend() {
            return Node::simplest(sort).expect("expressions have a simplest one");
        }
        for _ in 0..3 {
            let found = match self.random.below(10) {
                0..=2 => None,
                3..=6 => self.variable(sort),
                7 | 8 => self.map_value(sort),
                _ => self.member(sort),
            };
            if let Some(found) = found {
                return found;
            }
        }
        self.literal(sort)
    }

    pub fn literal(&mut self, sort: &Sort) -> Node {
        let text = match sort {
            Sort::Int if self.random.chance(40) => (*self.random.pick(&LITERALS)).to_owned(),
            Sort::Int if self.random.chance(20) => {
                let bits = self.random.below(64);
                (self.random.bits() >> bits).to_string()
            }
            Sort::Int => self.random.below(5).to_string(),
            Sort::Bool => ["true", "false"][self.random.below(2)].to_owned(),
            Sort::Text => {
                let most = if self.random.chance(90) { 7 } else { TEXTS.len() };
                TEXTS[self.random.below(most)].to_owned()
            }
            Sort::Tuple(members) => {
                let members: Vec<Node> = members.iter().map(|it| self.leaf(it)).collect();
                return Node::tuple(sort.clone(), members);
            }
            Sort::Statement | Sort::Body | Sort::Program => unreachable!("not the sort of an expression"),
        };
        Node::leaf(sort.clone(), text)
    }

    fn variable(&mut self, sort: &Sort) -> Option<Node> {
        let known: Vec<String> =
            self.variables.iter().filter(|it| it.sort == *sort).map(|it| it.name.clone()).collect();
        (!known.is_empty()).then(|| Node::leaf(sort.clone(), self.random.pick(&known).as_str()))
    }

    fn map_value(&mut self, sort: &Sort) -> Option<Node> {
        let map = self.some_map(|map| match &map.holds {
            Holds::Value(held) => held == sort,
            Holds::Aggregation { number, .. } => *number && *sort == Sort::Int,
        })?;
        Some(self.element(&map, sort.clone()))
    }

    /// One of the maps that serve.
    pub fn some_map(&mut self, serves: impl Fn(&Map) -> bool) -> Option<Map> {
        let maps: Vec<Map> = self.maps.iter().filter(|it| serves(it)).cloned().collect();
        (!maps.is_empty()).then(|| self.random.pick(&maps).clone())
    }

    /// `$t.0`, of a variable whose member is of that sort.
    fn member(&mut self, sort: &Sort) -> Option<Node> {
        let mut found = Vec::new();
        for variable in &self.variables {
            let Sort::Tuple(members) = &variable.sort else { continue };
            let members = members.iter().enumerate().filter(|(_, it)| *it == sort);
            found.extend(members.map(|(idx, _)| format!("{}.{idx}", variable.name)));
        }
        (!found.is_empty()).then(|| Node::leaf(sort.clone(), self.random.pick(&found).as_str()))
    }

    /// `@m[k]`
    pub fn element(&mut self, map: &Map, sort: Sort) -> Node {
        let key = self.key(map);
        Node::new(sort, format!("{}{}", map.name, brackets(map)), key)
    }

    /// The parts of a key. Small numbers meet again more often than large ones.
    pub fn key(&mut self, map: &Map) -> Vec<Node> {
        self.keys += 1;
        let mut parts = Vec::new();
        for sort in &map.key {
            let part = match self.random.below(10) {
                _ if self.keys > 2 => Node::simplest(sort).expect("expressions have a simplest one"),
                0..=6 => self.literal(sort),
                _ => self.expression(sort, 4),
            };
            parts.push(part);
        }
        self.keys -= 1;
        parts
    }

    /// `(@m, k)`, or `(@m[k])`, as `has_key` and `delete` take it.
    fn entry_call(&mut self, function: &str, map: &Map) -> (String, Vec<Node>) {
        let key = self.key(map);
        let holes = vec!["#"; key.len()].join(", ");
        let template = match key.len() {
            0 => format!("{function}({})", map.name),
            1 => format!("{function}({}, {holes})", map.name),
            _ => format!("{function}({}, ({holes}))", map.name),
        };
        (template, key)
    }

    fn int(&mut self, depth: usize) -> Node {
        match self.random.below(24) {
            0..=8 => self.arithmetic(depth),
            9..=12 => {
                let ty = *self.random.pick(&INTEGER_TYPES);
                let sort = if self.random.chance(90) { Sort::Int } else { Sort::Bool };
                let operand = self.expression(&sort, depth + 1);
                Node::new(Sort::Int, format!("(({ty})(#))"), vec![operand])
            }
            13 => {
                let operand = self.expression(&Sort::Int, depth + 1);
                let template = if is_constant(&operand) { "(~#)" } else { "(-(#))" };
                Node::new(Sort::Int, template, vec![operand])
            }
            14 => {
                let operand = self.expression(&Sort::Int, depth + 1);
                Node::new(Sort::Int, "(~#)", vec![operand])
            }
            15 | 16 => self.step_variable().unwrap_or_else(|| self.arithmetic(depth)),
            17 | 18 => self.step_map().unwrap_or_else(|| self.arithmetic(depth)),
            19 if self.open_loops => match self.some_map(|map| !map.key.is_empty()) {
                Some(map) => Node::leaf(Sort::Int, format!("len({})", map.name)),
                None => self.arithmetic(depth),
            },
            20 => {
                let members = vec![Sort::Int, self.sort(0), Sort::Int];
                let at = if self.random.chance(50) { 0 } else { 2 };
                let tuple = self.expression(&Sort::Tuple(members), depth + 1);
                Node::new(Sort::Int, format!("#.{at}"), vec![tuple])
            }
            21 => self.character().unwrap_or_else(|| self.arithmetic(depth)),
            _ => self.leaf(&Sort::Int),
        }
    }

    fn arithmetic(&mut self, depth: usize) -> Node {
        let mut op = *self.random.pick(&["+", "+", "-", "-", "*", "/", "%", "<<", ">>", "&", "|", "^"]);
        let left = self.expression(&Sort::Int, depth + 1);
        let mut right = self.expression(&Sort::Int, depth + 1);
        let plain = self.random.chance(50) || is_constant(&right);
        match op {
            "<<" | ">>" if plain => right = Node::leaf(Sort::Int, self.random.below(64).to_string()),
            "/" | "%" if plain => {
                let divisors = ["1", "2", "3", "7", "8", "255", "(-1)", "(-2)", "(-7)"];
                right = Node::leaf(Sort::Int, *self.random.pick(&divisors));
            }
            _ => {}
        }
        // Literals are added up by the front end, which refuses what does not fit 64 bits.
        if is_constant(&left) && is_constant(&right) {
            op = *self.random.pick(&["&", "|", "^"]);
        }
        Node::new(Sort::Int, format!("(# {op} #)"), vec![left, right])
    }

    /// `$x++` and its kin.
    pub fn step_variable(&mut self) -> Option<Node> {
        let known: Vec<String> = self
            .variables
            .iter()
            .filter(|it| it.sort == Sort::Int && !it.counter)
            .map(|it| it.name.clone())
            .collect();
        if known.is_empty() {
            return None;
        }
        let name = self.random.pick(&known).clone();
        let text = self.random.pick(&["(N++)", "(N--)", "(++N)", "(--N)"]).replace('N', &name);
        Some(Node::leaf(Sort::Int, text))
    }

    /// `@m[k]++` and its kin.
    pub fn step_map(&mut self) -> Option<Node> {
        let map = self.some_map(|map| matches!(map.holds, Holds::Value(Sort::Int)))?;
        let key = self.key(&map);
        let element = format!("{}{}", map.name, brackets(&map));
        let text = self.random.pick(&["(N++)", "(N--)", "(++N)", "(--N)"]).replace('N', &element);
        Some(Node::new(Sort::Int, text, key))
    }

    /// A byte of a string in a variable.
    fn character(&mut self) -> Option<Node> {
        let text = self.variable(&Sort::Text)?;
        if self.random.chance(50) {
            return Some(Node::new(Sort::Int, "#[0]", vec![text]));
        }
        let index = self.expression(&Sort::Int, 4);
        Some(Node::new(Sort::Int, "#[$v0 + (# & 7)]", vec![text, index]))
    }

    fn bool(&mut self, depth: usize) -> Node {
        match self.random.below(16) {
            0..=6 => {
                let op = *self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
                let operands =
                    vec![self.expression(&Sort::Int, depth + 1), self.expression(&Sort::Int, depth + 1)];
                Node::new(Sort::Bool, format!("(# {op} #)"), operands)
            }
            7 | 8 => {
                let op = *self.random.pick(&["&&", "||"]);
                let sides = [self.truth(), self.truth()];
                let operands = sides.iter().map(|it| self.expression(it, depth + 1)).collect();
                Node::new(Sort::Bool, format!("(# {op} #)"), operands)
            }
            9 => {
                let sort = self.truth();
                let operand = self.expression(&sort, depth + 1);
                Node::new(Sort::Bool, "(!#)", vec![operand])
            }
            10 | 11 => {
                let op = *self.random.pick(&["==", "!="]);
                let operands =
                    vec![self.expression(&Sort::Text, depth + 1), self.expression(&Sort::Text, depth + 1)];
                Node::new(Sort::Bool, format!("(# {op} #)"), operands)
            }
            12 => {
                let op = *self.random.pick(&["==", "!="]);
                let sort = Sort::Tuple(vec![self.sort(0), self.sort(1)]);
                let operands = vec![self.expression(&sort, depth + 1), self.expression(&sort, depth + 1)];
                Node::new(Sort::Bool, format!("(# {op} #)"), operands)
            }
            13 | 14 => {
                let function = if self.random.chance(60) { "has_key" } else { "delete" };
                match self.some_map(|map| !map.key.is_empty()) {
                    Some(map) => {
                        let (template, key) = self.entry_call(function, &map);
                        Node::new(Sort::Bool, template, key)
                    }
                    None => self.leaf(&Sort::Bool),
                }
            }
            _ => {
                let operand = self.expression(&Sort::Int, depth + 1);
                Node::new(Sort::Bool, "((bool)(#))", vec![operand])
            }
        }
    }

    /// The sort of a condition: truth values and integers serve.
    fn truth(&mut self) -> Sort {
        if self.random.chance(70) { Sort::Bool } else { Sort::Int }
    }

    /// `delete(@m, k)` for any map, as an effect.
    pub fn deletion(&mut self) -> Option<(String, Vec<Node>)> {
        let map = self.some_map(|_| true)?;
        Some(self.entry_call("delete", &map))
    }
}

/// Whether the front end may know the value.
fn is_constant(node: &Node) -> bool {
    !node.text().contains(['$', '@'])
}

/// `[#, #]`, with a hole for each part of the key.
pub fn brackets(map: &Map) -> String {
    match map.key.len() {
        0 => String::new(),
        n => format!("[{}]", vec!["#"; n].join(", ")),
    }
}
