//! The whole of it in virtual time.

mod channels;
mod load;
mod segments;

use super::{Coalescer, CoalescerConfig, Event, Member, Note, Part, SetFacts, Train};
use crate::ids::{ReceiverIndex, SetId};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

const SET: SetId = SetId([7; 16]);
const OTHER: SetId = SetId([8; 16]);
/// A segment of 1.8 MB in 2.949 s: 5 Mbit/s, and 390 ms at the pace of the first channel.
const FACTS: SetFacts = SetFacts {
    segments: 2441,
    segment_bytes: 1_843_200,
    symbols: 1600,
    parity: 400,
    playing: Some(Duration::from_millis(2949)),
};
const CONFIG: CoalescerConfig = CoalescerConfig {
    shard: 3,
    channels: 8,
    members: 100,
    rate: Rate::MAX,
    channel_rate: Rate::new(12_500_000),
    bulk_rate: Rate::new(6_250_000),
};
/// What a unicast takes.
const UNICAST: Duration = Duration::from_millis(700);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn member(slot: u32) -> Member {
    Member { shard: (slot % 2) as u8, session: ReceiverIndex::new(slot, (slot % 2) as u8) }
}

/// A coalescer, the time, and what came out of it and when.
struct Rig {
    coalescer: Coalescer,
    now: Instant,
    events: Vec<(Instant, Event)>,
    trains: Vec<(Instant, Train)>,
}

impl Rig {
    fn new(config: CoalescerConfig) -> Self {
        let now = at(1_000);
        let coalescer = Coalescer::new(config, [1; 32], now);
        Self { coalescer, now, events: Vec::new(), trains: Vec::new() }
    }

    /// One whose set has a channel and members 0 to `members`, who listen since 1.5 s.
    fn with_members(config: CoalescerConfig, members: u32) -> Self {
        let mut rig = Self::new(config);
        (0..members).for_each(|slot| rig.note(Note::Hears { member: member(slot) }));
        rig.run_to(at(1_500));
        (0..members).for_each(|slot| rig.listens(slot, 0, 1));
        rig.events.clear();
        rig
    }

    fn note(&mut self, note: Note) {
        self.coalescer.note(self.now, SET, &FACTS, note);
        self.turn();
    }

    fn listens(&mut self, slot: u32, position: u32, listening: u32) {
        let (member, window) = (member(slot), u32::MAX);
        self.note(Note::Member { member, position, window, listening, lossy: false });
    }

    fn wants(&mut self, slot: u32, segment: u32, deadline: Instant) {
        let member = member(slot);
        self.note(Note::Want { segment, deadline, unicast: UNICAST, member, waiters: 1 });
    }

    fn unwants(&mut self, slot: u32, segment: u32) {
        self.note(Note::Unwant { segment, shard: member(slot).shard });
    }

    /// Lets time pass, as a shard does: it wakes when it was told to and does all that is due.
    fn run_to(&mut self, end: Instant) {
        while let Some(wakes) = self.coalescer.poll_timeout()
            && wakes <= end
        {
            self.now = self.now.max(wakes);
            self.turn();
            let next = self.coalescer.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "it would wake at once again");
        }
        self.now = end;
    }

    fn turn(&mut self) {
        self.coalescer.handle_timeout(self.now);
        self.drain();
        while let Some(train) = self.coalescer.next_train(self.now) {
            self.trains.push((self.now, train));
            self.drain();
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some((_, event)) = self.coalescer.poll_event() {
            self.events.push((self.now, event));
        }
    }

    /// When `event` came, each time.
    fn times(&self, event: Event) -> Vec<Instant> {
        self.events.iter().filter(|(_, other)| *other == event).map(|(time, _)| *time).collect()
    }

    /// Source symbols that left of `segment`, in their order.
    fn symbols(&self, segment: u32) -> Vec<u16> {
        let trains = self.trains.iter().filter(|(_, train)| train.segment == segment);
        let symbols = trains.filter_map(|(_, train)| match train.part {
            Part::Symbols { first, count } => Some(first..first + count),
            _ => None,
        });
        symbols.flatten().collect()
    }
}
