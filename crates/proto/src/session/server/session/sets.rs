//! Which of the source's sets the handles of a session mean.

/// The source's index for each set handle. Most tokens name one set, which needs no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session::server) enum Sets {
    One(u32),
    Many(Box<[u32]>),
}

impl Sets {
    /// The index of the set with this handle.
    pub(super) fn get(&self, handle: u32) -> Option<u32> {
        match self {
            Self::One(index) => (handle == 0).then_some(*index),
            Self::Many(indexes) => indexes.get(handle as usize).copied(),
        }
    }
}

impl FromIterator<u32> for Sets {
    fn from_iter<I: IntoIterator<Item = u32>>(indexes: I) -> Self {
        let indexes: Box<[u32]> = indexes.into_iter().collect();
        match *indexes {
            [index] => Self::One(index),
            _ => Self::Many(indexes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sets;

    #[test]
    fn handles_are_places_in_the_list() {
        for indexes in [vec![], vec![7], vec![7, 9, 8]] {
            let sets: Sets = indexes.iter().copied().collect();
            let found: Vec<_> = (0..4).map_while(|handle| sets.get(handle)).collect();
            assert_eq!(found, indexes);
            assert_eq!(sets.get(u32::MAX), None);
        }
    }
}
