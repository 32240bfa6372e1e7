//! A program as the generator makes it and the shrinker cuts it: pieces of text in a tree. The tree
//! knows what sort of thing each piece is, so that one can stand for another; whether the types of
//! the whole agree is for the front end to say.

/// What sort of thing a piece of a program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An integer of any width and sign.
    Int,
    /// A truth value.
    Bool,
    /// A string.
    Text,
    /// A tuple with members of these sorts.
    Tuple(Vec<Sort>),
    /// A statement with its end, also a declaration.
    Statement,
    /// Any number of statements.
    Body,
    /// A whole program.
    Program,
}

/// A piece of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub sort: Sort,
    /// Its text; each `#` stands for a part.
    pub template: String,
    /// What stands in place of the `#`s. Of a body, the statements.
    pub parts: Vec<Node>,
}

impl Node {
    /// A piece with parts.
    pub fn new(sort: Sort, template: impl Into<String>, parts: Vec<Node>) -> Node {
        let template = template.into();
        debug_assert_eq!(template.matches('#').count(), parts.len(), "{template}");
        Node { sort, template, parts }
    }

    /// A piece without parts.
    pub fn leaf(sort: Sort, text: impl Into<String>) -> Node {
        Node::new(sort, text, Vec::new())
    }

    /// A statement.
    pub fn statement(template: impl Into<String>, parts: Vec<Node>) -> Node {
        Node::new(Sort::Statement, template, parts)
    }

    /// Statements in a row.
    pub fn body(parts: Vec<Node>) -> Node {
        Node { sort: Sort::Body, template: String::new(), parts }
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if self.sort == Sort::Body {
            for part in &self.parts {
                part.write(out);
                out.push('\n');
            }
            return;
        }
        let mut parts = self.parts.iter();
        for (idx, text) in self.template.split('#').enumerate() {
            if idx > 0
                && let Some(part) = parts.next()
            {
                part.write(out);
            }
            out.push_str(text);
        }
    }

    /// How many pieces there are.
    pub fn size(&self) -> usize {
        1 + self.parts.iter().map(Node::size).sum::<usize>()
    }

    /// All pieces below this one.
    pub fn descendants(&self) -> Vec<&Node> {
        let mut found: Vec<&Node> = self.parts.iter().collect();
        let mut next = 0;
        while let Some(node) = found.get(next).copied() {
            found.extend(&node.parts);
            next += 1;
        }
        found
    }

    /// The simplest thing of an expression's sort.
    pub fn simplest(sort: &Sort) -> Option<Node> {
        let text = match sort {
            Sort::Int => "0",
            Sort::Bool => "false",
            Sort::Text => "\"\"",
            Sort::Tuple(members) => {
                let members: Vec<Node> = members.iter().filter_map(Node::simplest).collect();
                return Some(Node::tuple(sort.clone(), members));
            }
            Sort::Statement | Sort::Body | Sort::Program => return None,
        };
        Some(Node::leaf(sort.clone(), text))
    }

    /// A tuple of these members.
    pub fn tuple(sort: Sort, members: Vec<Node>) -> Node {
        let comma = if members.len() == 1 { "," } else { "" };
        let template = format!("({}{comma})", vec!["#"; members.len()].join(", "));
        Node::new(sort, template, members)
    }
}
