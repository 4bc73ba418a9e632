//! Who hears the channels of a set.

use std::collections::BTreeMap;

use super::note::Member;
use crate::time::{Duration, Instant};

/// Who says nothing for so long is gone: their shards repeat what they said every few seconds.
const SILENT: Duration = Duration::from_secs(60);

/// What so few members lose says nothing of the channels.
const LISTENING_MIN: u32 = 3;

/// What is known of a member: 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// Bits of the channels that it hears.
    pub(super) hears: u32,
    pub(super) position: u32,
    pub(super) window: u32,
    /// It loses much of what it hears.
    pub(super) lossy: bool,
    /// When it was told of.
    pub(super) told: Instant,
}

/// The sessions that asked for the set and may be served by a group.
#[derive(Debug, Default)]
pub(super) struct Members {
    states: BTreeMap<Member, State>,
    listening: u32,
}

impl Members {
    /// All of them.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// Those that hear a channel.
    pub(super) fn listening(&self) -> u32 {
        self.listening
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, member: Member) -> bool {
        self.states.contains_key(&member)
    }

    /// `member` asks, and may hear.
    pub(super) fn asks(&mut self, now: Instant, member: Member) {
        let state = State { hears: 0, position: 0, window: u32::MAX, lossy: false, told: now };
        self.states.entry(member).or_insert(state).told = now;
    }

    /// What is known of `member` by now; what it heard before.
    pub(super) fn hears(&mut self, member: Member, state: State) -> u32 {
        let before = self.states.insert(member, state).map_or(0, |before| before.hears);
        self.listening += u32::from(state.hears != 0);
        self.listening -= u32::from(before != 0);
        before
    }

    /// `member` is gone.
    pub(super) fn remove(&mut self, member: Member) {
        if let Some(state) = self.states.remove(&member) {
            self.listening -= u32::from(state.hears != 0);
        }
    }

    /// Those of whom nothing was heard for long are gone.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        let listening = &mut self.listening;
        self.states.retain(|_, state| {
            let stays = now.saturating_since(state.told) < SILENT;
            *listening -= u32::from(!stays && state.hears != 0);
            stays
        });
    }

    /// Whether most of those that listen lose much; of fewer than three nothing is concluded.
    pub(super) fn is_lossy(&self) -> bool {
        let lossy = self.states.values().filter(|state| state.lossy && state.hears != 0).count();
        self.listening >= LISTENING_MIN && lossy as u64 * 2 > u64::from(self.listening)
    }

    /// All channels are closed.
    pub(super) fn hear_nothing(&mut self) {
        self.states.values_mut().for_each(|state| state.hears = 0);
        self.listening = 0;
    }

    /// A channel is closed: nobody hears it.
    pub(super) fn clear(&mut self, bit: u32) {
        for state in self.states.values_mut() {
            self.listening -= u32::from(state.hears == bit);
            state.hears &= !bit;
        }
    }

    /// Whether `member` hears the channel and will need the segment.
    pub(super) fn needs(&self, member: Member, bit: u32, segment: u32) -> bool {
        self.states.get(&member).is_some_and(|state| {
            let reach = state.position.saturating_add(state.window);
            state.hears & bit != 0 && (state.position..=reach).contains(&segment)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReceiverIndex;

    fn member(slot: u32) -> Member {
        Member { shard: 0, session: ReceiverIndex::new(slot, 0) }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn state(second: u64, hears: u32, position: u32, window: u32) -> State {
        State { hears, position, window, lossy: false, told: at(second) }
    }

    #[test]
    fn most_of_at_least_three_that_listen_must_lose_much() {
        let mut members = Members::default();
        let mut lossy = |number, hears, lossy| {
            members.hears(member(number), State { lossy, ..state(1, hears, 0, 0) });
            members.is_lossy()
        };
        assert!(!lossy(1, 1, true) && !lossy(2, 1, true) && !lossy(3, 0, true), "two listen");
        assert!(lossy(4, 1, false) && !lossy(5, 1, false) && lossy(3, 1, true));
        members.hear_nothing();
        assert_eq!((members.is_lossy(), members.listening()), (false, 0));
    }

    #[test]
    fn who_listens_is_counted_once() {
        let mut members = Members::default();
        members.asks(at(0), member(1));
        assert_eq!((members.len(), members.listening()), (1, 0));
        assert_eq!(members.hears(member(1), state(1, 0b11, 5, 10)), 0);
        assert_eq!(members.hears(member(1), state(2, 0b01, 5, 10)), 0b11);
        assert_eq!(members.hears(member(2), state(2, 0b10, 0, u32::MAX)), 0);
        assert_eq!((members.len(), members.listening()), (2, 2));
        members.clear(0b10);
        assert_eq!(members.listening(), 1);
        members.asks(at(61), member(1));
        assert!(members.needs(member(1), 1, 5), "who asks again still hears");
        members.forget_silent(at(62));
        assert_eq!((members.len(), members.listening()), (1, 1));
        members.remove(member(1));
        members.remove(member(1));
        assert_eq!((members.len(), members.listening()), (0, 0));
    }

    #[test]
    fn a_member_needs_what_lies_in_its_window() {
        let mut members = Members::default();
        members.hears(member(1), state(0, 0b10, 5, 10));
        let needs = |segment| members.needs(member(1), 0b10, segment);
        assert_eq!([4, 5, 15, 16].map(needs), [false, true, true, false]);
        assert!(!members.needs(member(1), 0b01, 5) && !members.needs(member(2), 0b10, 5));
        members.hears(member(1), state(0, 0b10, 7, u32::MAX));
        assert!(members.needs(member(1), 0b10, u32::MAX));
    }
}
