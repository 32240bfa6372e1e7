//! Sets of a few among very many.

/// A set of indices, sorted: registers and blocks are many, and few registers live across a
/// block's border, so a bit for each would take their product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet(Vec<u32>);

impl IndexSet {
    /// Adds an index; whether it was new.
    pub fn insert(&mut self, index: usize) -> bool {
        match self.0.binary_search(&(index as u32)) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, index as u32);
                true
            }
        }
    }

    /// Removes an index.
    pub fn remove(&mut self, index: usize) {
        if let Ok(at) = self.0.binary_search(&(index as u32)) {
            self.0.remove(at);
        }
    }

    /// Whether it holds the index.
    pub fn contains(&self, index: usize) -> bool {
        self.0.binary_search(&(index as u32)).is_ok()
    }

    /// Adds all of `other`; whether that added anything.
    pub fn union(&mut self, other: &IndexSet) -> bool {
        let new: Vec<u32> = other.0.iter().copied().filter(|it| !self.contains(*it as usize)).collect();
        if new.is_empty() {
            return false;
        }
        self.0.extend(new);
        self.0.sort_unstable();
        true
    }

    /// Its indices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|it| *it as usize)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::IndexSet;

    #[test]
    fn sets_hold_what_was_added_and_not_removed() {
        let mut set = IndexSet::default();
        assert!(set.is_empty());
        let new: Vec<bool> = [5, 1, 9, 5].into_iter().map(|it| set.insert(it)).collect();
        assert_eq!(new, [true, true, true, false]);
        set.remove(9);
        set.remove(7);
        assert!(set.contains(1) && !set.contains(9));
        let mut other = IndexSet::default();
        other.insert(3);
        assert!(set.union(&other));
        assert!(!set.union(&other));
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 3, 5]);
    }
}
