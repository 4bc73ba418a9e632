//! Which of the source's sets the handles of a session mean.

use crate::ids::{SetHandle, SetIndex};

/// The source's index for each set handle; `None`: the edge did not have the set when the session began. Most tokens
/// name one set, which needs no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session::server) enum Sets {
    One(Option<SetIndex>),
    Many(Box<[Option<SetIndex>]>),
}

impl Sets {
    /// The index of the set with this handle.
    pub(super) fn get(&self, handle: SetHandle) -> Option<SetIndex> {
        match self {
            Self::One(index) => index.filter(|_| handle == SetHandle::FIRST),
            Self::Many(indexes) => *indexes.get(handle.0 as usize)?,
        }
    }
}

impl FromIterator<Option<SetIndex>> for Sets {
    fn from_iter<I: IntoIterator<Item = Option<SetIndex>>>(indexes: I) -> Self {
        let indexes: Box<[Option<SetIndex>]> = indexes.into_iter().collect();
        match *indexes {
            [index] => Self::One(index),
            _ => Self::Many(indexes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_places_in_the_list() {
        for numbers in [vec![], vec![7], vec![u32::MAX], vec![7, u32::MAX, 8]] {
            let indexes: Vec<_> = numbers.into_iter().map(SetIndex::new).collect();
            let sets: Sets = indexes.iter().copied().collect();
            for (handle, index) in (0..).zip(&indexes) {
                assert_eq!(sets.get(SetHandle(handle)), *index);
            }
            let beyond = [indexes.len() as u32, u32::MAX].map(SetHandle);
            assert_eq!(beyond.map(|handle| sets.get(handle)), [None, None]);
        }
    }

    #[test]
    fn one_set_takes_no_memory_of_its_own() {
        assert!(size_of::<Sets>() <= 2 * size_of::<usize>());
    }
}
