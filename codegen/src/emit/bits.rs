//! Sets of many among not too many.

/// A set of indices below a bound that is fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitSet(Vec<u64>);

impl BitSet {
    /// The empty set of indices below `bound`.
    pub fn new(bound: usize) -> Self {
        BitSet(vec![0; bound.div_ceil(64)])
    }

    /// Adds an index.
    pub fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Whether it holds the index.
    pub fn contains(&self, index: usize) -> bool {
        self.0[index / 64] & 1 << (index % 64) != 0
    }

    /// Adds all of `other`; whether that added anything.
    pub fn union(&mut self, other: &BitSet) -> bool {
        let mut changed = false;
        for (word, &other) in self.0.iter_mut().zip(&other.0) {
            changed |= other & !*word != 0;
            *word |= other;
        }
        changed
    }
}
