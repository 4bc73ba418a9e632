//! Which slots of a segment file are free.

use core::ops::Range;

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Free, and no valid header lies on the disk.
    Free,
    /// Free, but the disk may have a valid header, which must go before the data is overwritten.
    FreeWithOldHeader,
    /// Held by a set or a writer.
    Taken,
}

/// The slots of one segment file.
#[derive(Debug)]
pub(crate) struct SlotTable {
    slots: Vec<Slot>,
    free: u32,
}

/// A slot that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) slot: u32,
    /// A valid header of an earlier use may be on the disk.
    pub(crate) old_header: bool,
}

impl SlotTable {
    /// `count` free slots without headers.
    pub(crate) fn new(count: u32) -> Self {
        Self { slots: vec![Slot::Free; count as usize], free: count }
    }

    /// How many are free.
    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// Those that are free and have no header on the disk.
    pub(crate) fn without_header(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.slots).filter(|(_, state)| **state == Slot::Free).map(|(slot, _)| slot)
    }

    /// Whether all are free.
    pub(crate) fn is_unused(&self) -> bool {
        self.free as usize == self.slots.len()
    }

    /// Takes the lowest free slots, at most `wanted`.
    pub(crate) fn take(&mut self, wanted: u32) -> Vec<Taken> {
        let wanted = wanted.min(self.free);
        let mut taken = Vec::with_capacity(wanted as usize);
        for (slot, state) in (0_u32..).zip(&mut self.slots) {
            if taken.len() == wanted as usize {
                break;
            }
            if *state != Slot::Taken {
                taken.push(Taken { slot, old_header: *state == Slot::FreeWithOldHeader });
                *state = Slot::Taken;
            }
        }
        self.free -= wanted;
        taken
    }

    /// Marks a free slot as held (the scan of a start).
    ///
    /// # Panics
    /// If it is held already: two sets would share it.
    pub(crate) fn hold(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize];
        assert!(*state != Slot::Taken, "slot {slot} is held twice");
        *state = Slot::Taken;
        self.free -= 1;
    }

    /// Notes that a free slot has bytes where its header lies (the scan of a start).
    pub(crate) fn note_old_header(&mut self, slot: u32) {
        let state = &mut self.slots[slot as usize];
        assert!(*state != Slot::Taken, "slot {slot} is held");
        *state = Slot::FreeWithOldHeader;
    }

    /// Gives a slot back.
    ///
    /// # Panics
    /// If it is free already.
    pub(crate) fn give_back(&mut self, slot: u32, old_header: bool) {
        let state = &mut self.slots[slot as usize];
        assert!(*state == Slot::Taken, "slot {slot} is given back twice");
        *state = if old_header { Slot::FreeWithOldHeader } else { Slot::Free };
        self.free += 1;
    }
}

/// Joins ascending numbers to ranges without gaps, so that neighbours are written at once.
pub(crate) fn runs(slots: impl IntoIterator<Item = u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for slot in slots {
        match runs.last_mut() {
            Some(last) if last.end == slot => last.end += 1,
            _ => runs.push(slot..slot + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slots_are_taken() {
        let mut table = SlotTable::new(4);
        table.hold(1);
        let taken = |slot| Taken { slot, old_header: false };
        assert_eq!(table.take(2), [taken(0), taken(2)]);
        assert_eq!(table.take(9), [taken(3)]);
        assert_eq!(table.free(), 0);
        table.give_back(1, true);
        assert_eq!(table.take(1), [Taken { slot: 1, old_header: true }]);
    }

    #[test]
    #[should_panic(expected = "held twice")]
    fn two_sets_never_share_a_slot() {
        let mut table = SlotTable::new(4);
        table.hold(1);
        table.hold(1);
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(runs([1, 2, 3, 7, 9, 10]), [1..4, 7..8, 9..11]);
        assert_eq!(runs([]), []);
    }
}
