//! Replacing values by others in a whole function.

use crate::ir::{Function, Value};

/// For each value, what stands for it now.
pub struct Rewrite {
    to: Vec<Value>,
    changed: bool,
}

impl Rewrite {
    /// Every value stands for itself.
    pub fn new(function: &Function) -> Rewrite {
        Rewrite { to: (0..function.values.len() as u32).map(Value).collect(), changed: false }
    }

    /// Lets `new` stand for `old` from now on.
    pub fn replace(&mut self, old: Value, new: Value) {
        let new = self.resolve(new);
        if old != new {
            self.to[old.index()] = new;
            self.changed = true;
        }
    }

    /// What stands for `value`, through chains of replacements.
    pub fn resolve(&self, mut value: Value) -> Value {
        while self.to[value.index()] != value {
            value = self.to[value.index()];
        }
        value
    }

    /// Rewrites every use; true when there was anything to replace.
    pub fn apply(self, function: &mut Function) -> bool {
        if self.changed {
            for inst in &mut function.insts {
                inst.op.operands_mut(|it| *it = self.resolve(*it));
            }
            for block in &mut function.blocks {
                block.terminator.operands_mut(|it| *it = self.resolve(*it));
                for edge in block.terminator.edges_mut() {
                    edge.args.iter_mut().for_each(|it| *it = self.resolve(*it));
                }
            }
        }
        self.changed
    }
}
