//! Parity that this shard sends to groups, as long as there is room for it: it is used within a second.

use std::collections::VecDeque;

use segcast_proto::ids::SetIndex;

use crate::limits;
use crate::mailbox::Made;

/// The newest ones.
#[derive(Default)]
pub(super) struct Parity {
    made: VecDeque<Made>,
    bytes: usize,
}

impl Parity {
    /// The oldest go when there is no room.
    pub(super) fn keep(&mut self, made: Made) {
        self.bytes += made.symbols.len();
        self.made.push_back(made);
        while self.made.len() > limits::GROUP_PARITY || self.bytes > limits::GROUP_PARITY_BYTES {
            let Some(oldest) = self.made.pop_front() else { return };
            self.bytes -= oldest.symbols.len();
        }
    }

    /// The parity symbols of a segment, one after another.
    pub(super) fn of(&self, set: SetIndex, segment: u32) -> Option<&[u8]> {
        let is_its = |made: &&Made| made.set == set && made.segment == segment;
        // The one that is sent now was made last.
        self.made.iter().rev().find(is_its).map(|made| &*made.symbols)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn made(segment: u32, len: usize) -> Made {
        Made { set: SetIndex::FIRST, segment, symbols: Arc::from(vec![segment as u8; len]) }
    }

    #[test]
    fn the_oldest_make_room_by_number_and_by_bytes() {
        let mut parity = Parity::default();
        let most = limits::GROUP_PARITY as u32;
        (0..=most).for_each(|segment| parity.keep(made(segment, 9)));
        assert_eq!(parity.of(SetIndex::FIRST, 0), None);
        assert_eq!(parity.of(SetIndex::FIRST, most), Some(&[most as u8; 9][..]));
        assert_eq!(parity.of(SetIndex::new(1).unwrap(), most), None);
        parity.keep(made(900, limits::GROUP_PARITY_BYTES - 9));
        assert_eq!((parity.made.len(), parity.bytes), (2, limits::GROUP_PARITY_BYTES));
        parity.keep(made(901, limits::GROUP_PARITY_BYTES + 1));
        assert_eq!((parity.made.len(), parity.bytes), (0, 0), "one that never fits");
    }
}
