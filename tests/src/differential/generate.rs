//! Makes random programs: a seed in, a program out whose types agree almost always.
//!
//! A program is one `BEGIN` probe with maps of its own. Loops end by a counter that nothing else
//! assigns. Widths and signs of integers are left to inference: any integer may stand where an
//! integer is wanted.

mod expressions;
mod statements;

use super::random::Random;
use super::syntax::{Node, Sort};

/// Makes the program of a seed. Its maps' names begin with `prefix`. Only with `open_loops` there are
/// loops whose rounds nobody knows before: `while`, and those behind `len` and aggregations that are
/// read as numbers.
pub fn generate(seed: u64, prefix: &str, open_loops: bool) -> Node {
    let mut random = Random::new(seed);
    let budget = 15 + random.below(70);
    let mut generator = Generator {
        random,
        budget,
        maps: Vec::new(),
        variables: Vec::new(),
        loops: Vec::new(),
        keys: 0,
        names: 0,
        open_loops,
    };
    generator.program(prefix)
}

/// A variable in scope.
#[derive(Clone)]
struct Variable {
    name: String,
    sort: Sort,
    /// Counts the rounds of a loop, so it is only read.
    counter: bool,
}

/// A map of the program.
#[derive(Clone)]
struct Map {
    name: String,
    /// Empty for a map without a key.
    key: Vec<Sort>,
    holds: Holds,
    /// The kind that it is declared with.
    declared: Option<&'static str>,
}

#[derive(Clone)]
enum Holds {
    Value(Sort),
    Aggregation {
        /// The call, with a `#` for the argument.
        call: &'static str,
        /// Whether it can be read as a number.
        number: bool,
    },
}

/// What kind of loop is around.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loop {
    /// `for`, `while`
    Rounds,
    /// `unroll`
    Copies,
}

struct Generator {
    random: Random,
    /// Pieces that may still be made before only leaves are.
    budget: usize,
    maps: Vec<Map>,
    variables: Vec<Variable>,
    loops: Vec<Loop>,
    /// Whether there are loops whose rounds nobody knows before.
    open_loops: bool,
    /// Keys of maps inside one another.
    keys: usize,
    /// How many names were given.
    names: usize,
}

const AGGREGATIONS: [(&str, bool); 12] = [
    ("count()", true),
    ("sum(#)", true),
    ("min(#)", true),
    ("max(#)", true),
    ("avg(#)", true),
    ("stats(#)", false),
    ("hist(#)", false),
    ("hist(#, 2)", false),
    ("hist(#, 5)", false),
    ("lhist(#, 0, 100, 10)", false),
    ("lhist(#, -50, 75, 7)", false),
    ("lhist(#, -9000000000, 9000000000, 1000000000)", false),
];

impl Generator {
    fn program(&mut self, prefix: &str) -> Node {
        let n_maps = 2 + self.random.below(4);
        self.maps =
            (0..n_maps).map(|idx| self.map(format!("@{prefix}{}", (b'a' + idx as u8) as char))).collect();
        let declarations = self.maps.iter().filter_map(|map| {
            let text = format!("let {} = {}(60);", map.name, map.declared?);
            Some(Node::leaf(Sort::Statement, text))
        });
        let declarations = Node::body(declarations.collect());
        let n_statements = 3 + self.random.below(8);
        // A zero that only the front end does not know.
        let mut statements = vec![Node::leaf(Sort::Statement, "$v0 = 0;")];
        for _ in 0..n_statements {
            let statement = self.statement(0);
            statements.push(statement);
        }
        // Each map gets a value somewhere, so that it has a type.
        for map in self.maps.clone() {
            let at = if self.random.chance(50) { 1 } else { statements.len() };
            if at == 1 {
                self.variables.clear();
            }
            let statement = self.fill(&map);
            statements.insert(at, statement);
        }
        Node::new(Sort::Program, "#BEGIN\n{\n#}\n", vec![declarations, Node::body(statements)])
    }

    fn map(&mut self, name: String) -> Map {
        let n_keys = *self.random.pick(&[0, 0, 1, 1, 1, 2, 2, 3]);
        let key: Vec<Sort> = (0..n_keys).map(|_| self.sort(1)).collect();
        let holds = if self.random.chance(40) {
            let &(call, number) = self.random.pick(&AGGREGATIONS);
            Holds::Aggregation { call, number: number && self.open_loops }
        } else if self.random.chance(60) {
            Holds::Value(Sort::Int)
        } else {
            Holds::Value(self.sort(2))
        };
        let kinds = ["hash", "lruhash", "percpuhash", "percpulruhash"];
        let declared = (!key.is_empty() && self.random.chance(15)).then(|| *self.random.pick(&kinds));
        Map { name, key, holds, declared }
    }

    /// A sort of value, tuples nested at most `depth` times.
    fn sort(&mut self, depth: usize) -> Sort {
        match self.random.below(if depth > 0 { 10 } else { 8 }) {
            0..=4 => Sort::Int,
            5 => Sort::Bool,
            6 | 7 => Sort::Text,
            _ => {
                let n_members = 1 + self.random.below(3);
                Sort::Tuple((0..n_members).map(|_| self.sort(depth - 1)).collect())
            }
        }
    }

    /// A name that nothing has.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("$v{}", self.names)
    }

    /// Takes one piece from the budget; false when there is none left.
    fn spend(&mut self) -> bool {
        self.budget = self.budget.saturating_sub(1);
        self.budget > 0
    }
}
