//! What happens to DATA datagrams on their way out: exactly so many of a number are dropped, doubled, overtaken and
//! damaged, at places drawn from a seed, and each is written down.

use std::collections::{BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use serde::Serialize;

/// How many of the first `datagrams` DATA datagrams meet which fault; all at different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FaultPlan {
    /// Draws the places.
    pub seed: u64,
    /// DATA datagrams of segments, repairs among them, in the order in which they are sent.
    pub datagrams: u64,
    /// So many do not go out.
    pub drop: u32,
    /// So many go out twice, bit for bit.
    pub duplicate: u32,
    /// So many go out after the one that should follow.
    pub reorder: u32,
    /// So many go out with a wrong tag.
    pub corrupt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Drop,
    Duplicate,
    Reorder,
    Corrupt,
}

/// What was done: the places, counted from 0 in DATA datagrams of segments as the server made them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// DATA datagrams that the server made.
    pub datagrams: u64,
    /// Which ones were dropped.
    pub dropped: Vec<u64>,
    /// Which ones went out twice.
    pub duplicated: Vec<u64>,
    /// Which ones went out after their successor.
    pub reordered: Vec<u64>,
    /// Which ones went out damaged.
    pub corrupted: Vec<u64>,
}

/// The layer.
#[derive(Debug)]
pub(super) struct Faults {
    /// Not yet done, ascending.
    due: VecDeque<(u64, Fault)>,
    /// Whose place has come, but nothing of its size followed in its train.
    reorders: usize,
    applied: Applied,
    /// The first datagram dropped is not written down: the layer lies, and calibration has to notice.
    lies: bool,
}

impl Faults {
    /// Draws the places of `plan`.
    pub(super) fn new(plan: &FaultPlan, lies: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
        let mut taken = BTreeSet::new();
        let mut due = Vec::new();
        let kinds = [
            (Fault::Drop, plan.drop),
            (Fault::Duplicate, plan.duplicate),
            (Fault::Reorder, plan.reorder),
            (Fault::Corrupt, plan.corrupt),
        ];
        for (fault, count) in kinds {
            let end = (taken.len() + count as usize).min(plan.datagrams as usize);
            while taken.len() < end {
                let place = random.next_u64() % plan.datagrams;
                if taken.insert(place) {
                    due.push((place, fault));
                }
            }
        }
        due.sort_unstable_by_key(|(place, _)| *place);
        Self { due: due.into(), reorders: 0, applied: Applied::default(), lies }
    }

    /// What was done so far.
    pub(super) fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Faults that have not found their datagram yet.
    pub(super) fn left(&self) -> usize {
        self.due.len() + self.reorders
    }

    /// Treats a train of datagrams of `size` bytes, the last one perhaps shorter, in place; `copies` takes what is to go
    /// out once more. Gives the bytes that are left: 0, nothing goes out.
    pub(super) fn train(
        &mut self,
        train: &mut [u8],
        size: usize,
        copies: &mut Vec<Vec<u8>>,
    ) -> usize {
        let (mut kept, mut from) = (0, 0);
        while from < train.len() {
            let to = (from + size).min(train.len());
            let place = self.applied.datagrams;
            self.applied.datagrams += 1;
            let fault = self.take(place, to + size <= train.len());
            match fault {
                Some(Fault::Drop) => {
                    self.write_down_drop(place);
                    from = to;
                    continue;
                }
                Some(Fault::Duplicate) => {
                    copies.push(train[from..to].to_vec());
                    self.applied.duplicated.push(place);
                }
                Some(Fault::Corrupt) => {
                    // The tag ends the packet (docs/protocol, section 3).
                    train[to - 1] ^= 0x80;
                    self.applied.corrupted.push(place);
                }
                Some(Fault::Reorder) => {
                    train[from..to + size].rotate_left(size);
                    self.applied.reordered.push(place);
                    self.applied.datagrams += 1;
                    train.copy_within(from..to + size, kept);
                    kept += 2 * size;
                    from = to + size;
                    continue;
                }
                None => {}
            }
            train.copy_within(from..to, kept);
            kept += to - from;
            from = to;
        }
        kept
    }

    fn is_due(&self, place: u64) -> bool {
        self.due.front().is_some_and(|(at, _)| *at <= place)
    }

    /// The fault of the datagram at `place`. `followed`: another of its size comes after it in its train, with which
    /// it may change places, unless that one has a fault of its own.
    fn take(&mut self, place: u64, followed: bool) -> Option<Fault> {
        while self.is_due(place) {
            match self.due.pop_front() {
                Some((_, Fault::Reorder)) => self.reorders += 1,
                other => return other.map(|(_, fault)| fault),
            }
        }
        let now = self.reorders > 0 && followed && !self.is_due(place + 1);
        self.reorders -= usize::from(now);
        now.then_some(Fault::Reorder)
    }

    fn write_down_drop(&mut self, place: u64) {
        if !std::mem::take(&mut self.lies) {
            self.applied.dropped.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Datagrams of 8 bytes: their number, then a tag.
    fn datagram(number: u64) -> Vec<u8> {
        [&(number as u32).to_be_bytes()[..], &[0; 4]].concat()
    }

    fn number(datagram: &[u8]) -> u64 {
        u64::from(u32::from_be_bytes(datagram[..4].try_into().expect("4 bytes")))
    }

    /// Sends trains of `lengths` datagrams; gives what came out, in order, and the layer.
    fn run(plan: &FaultPlan, lengths: &[usize]) -> (Vec<Vec<u8>>, Faults) {
        let mut faults = Faults::new(plan, false);
        let (mut out, mut copies, mut next) = (Vec::new(), Vec::new(), 0);
        for &length in lengths {
            let mut train: Vec<u8> = (next..next + length as u64).flat_map(datagram).collect();
            next += length as u64;
            let kept = faults.train(&mut train, 8, &mut copies);
            out.extend(train[..kept].chunks(8).map(<[u8]>::to_vec));
            out.append(&mut copies);
        }
        (out, faults)
    }

    const PLAN: FaultPlan =
        FaultPlan { seed: 3, datagrams: 1000, drop: 40, duplicate: 30, reorder: 20, corrupt: 10 };

    proptest! {
        /// A receiver that knows the numbers sees every fault, once and where it was written down.
        #[test]
        fn what_is_written_down_is_what_happened(
            seed in any::<u64>(),
            lengths in prop::collection::vec(1..20_usize, 160..200),
        ) {
            let (out, faults) = run(&FaultPlan { seed, ..PLAN }, &lengths);
            let applied = faults.applied();
            let sent: u64 = lengths.iter().map(|&length| length as u64).sum();
            prop_assert_eq!(applied.datagrams, sent);
            let mut count = std::collections::BTreeMap::<u64, u64>::new();
            let (mut highest, mut overtaken, mut damaged, mut doubled) = (None, vec![], vec![], vec![]);
            for datagram in &out {
                let n = number(datagram);
                *count.entry(n).or_default() += 1;
                if datagram[7] != 0 {
                    damaged.push(n);
                } else if count[&n] > 1 {
                    doubled.push(n);
                } else if highest.is_some_and(|highest| n < highest) {
                    overtaken.push(n);
                }
                highest = highest.max(Some(n));
            }
            let missing: Vec<u64> = (0..sent).filter(|n| !count.contains_key(n)).collect();
            prop_assert_eq!(&missing, &applied.dropped);
            prop_assert_eq!(&damaged, &applied.corrupted);
            prop_assert_eq!(&doubled, &applied.duplicated);
            prop_assert_eq!(&overtaken, &applied.reordered);
            if sent > 1100 {
                prop_assert_eq!(faults.left(), 0);
                prop_assert_eq!((missing.len(), damaged.len()), (40, 10));
                prop_assert_eq!((doubled.len(), overtaken.len()), (30, 20));
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_places() {
        let of = |seed| run(&FaultPlan { seed, ..PLAN }, &[10; 200]).1.applied().clone();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).dropped, of(2).dropped);
    }

    #[test]
    fn a_short_last_datagram_is_not_exchanged_and_a_train_of_drops_is_empty() {
        let plan =
            FaultPlan { seed: 1, datagrams: 1, drop: 0, duplicate: 0, reorder: 1, corrupt: 0 };
        let mut faults = Faults::new(&plan, false);
        let mut train = [1, 1, 1, 1, 2, 2];
        assert_eq!(faults.train(&mut train, 4, &mut Vec::new()), 6);
        assert_eq!((train, faults.left()), ([1, 1, 1, 1, 2, 2], 1));
        let all = FaultPlan { datagrams: 3, drop: 3, reorder: 0, ..plan };
        let mut faults = Faults::new(&all, false);
        assert_eq!(faults.train(&mut [0; 10], 4, &mut Vec::new()), 0);
        assert_eq!(faults.applied().dropped, [0, 1, 2]);
    }

    #[test]
    fn more_faults_than_datagrams_end() {
        let plan = FaultPlan { seed: 1, datagrams: 5, drop: 9, ..PLAN };
        assert_eq!(Faults::new(&plan, false).left(), 5);
        assert_eq!(Faults::new(&FaultPlan { datagrams: 0, ..plan }, false).left(), 0);
    }

    #[test]
    fn a_layer_that_lies_hides_one_drop() {
        let mut faults = Faults::new(&PLAN, true);
        let mut train = vec![0; 1000 * 8];
        let kept = faults.train(&mut train, 8, &mut Vec::new());
        assert_eq!(1000 - kept / 8, 1 + faults.applied().dropped.len());
    }
}
