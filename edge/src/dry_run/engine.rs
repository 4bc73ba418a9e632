//! Reckons: the production [`Coalescer`] on the requests that unicast serves, its trains counted instead of sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use segcast_proto::coalesce::{
    Coalescer, CoalescerConfig, Event, Member, Note, SetFacts, UNICAST_MARGIN, UNICAST_MAX,
    UNICAST_MIN, UNKNOWN_PATH,
};
use segcast_proto::ids::SetId;
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::rate::Rate;
use segcast_proto::time::Instant;

use super::ledger::{Ledger, Line};
use super::limits::{JOINS_AFTER, STAYS, TELLS, WAITING};
use super::title::{Title, Viewer, Waiter};
use crate::limits::GROUP_MEMBERS;

const SECOND: Duration = Duration::from_secs(1);

/// A request that a session made, and unicast serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) member: Member,
    pub(crate) set: SetId,
    /// None: no group could serve it.
    pub(crate) facts: Option<SetFacts>,
    pub(crate) segment: u32,
    /// Bytes of it that are wanted.
    pub(crate) bytes: u64,
    pub(crate) repair: bool,
    pub(crate) deadline: Instant,
    /// What the session's path carries, where that is known.
    pub(crate) rate: Option<Rate>,
}

/// The whole reckoning.
pub(super) struct Engine {
    coalescer: Coalescer,
    bulk_rate: Rate,
    titles: BTreeMap<SetId, Title>,
    members: usize,
    /// Who becomes a member, and when.
    joins: VecDeque<(Instant, SetId, Member)>,
    /// When each wait ends by unicast.
    holds: BTreeSet<(Instant, SetId, u32, Member)>,
    ledger: Ledger,
    next_second: Instant,
}

impl Engine {
    /// Nothing was asked for yet.
    pub(super) fn new(config: CoalescerConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            coalescer: Coalescer::new(config, seed, now),
            bulk_rate: config.bulk_rate,
            titles: BTreeMap::new(),
            members: 0,
            joins: VecDeque::new(),
            holds: BTreeSet::new(),
            ledger: Ledger::default(),
            next_second: now + SECOND,
        }
    }

    /// The report.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.ledger.lines()
    }

    /// Takes in a request.
    pub(super) fn take(&mut self, told: &Told) {
        let Told { at, member, set, segment, bytes, .. } = *told;
        self.ledger.sent(set, bytes);
        let Some(facts) = told.facts.filter(|_| !told.repair) else {
            return self.ledger.by_unicast(set, bytes);
        };
        if !self.admit(told, &facts) {
            return self.ledger.by_unicast(set, bytes);
        }
        let Some(title) = self.titles.get_mut(&set) else { return };
        if title.has_overheard(member, segment) {
            return self.ledger.overheard(set);
        }
        let unicast = self.unicast(&facts, told.rate);
        let is_whole = bytes >= u64::from(facts.segment_bytes);
        let lead = unicast + UNICAST_MARGIN;
        let Some(title) = self.titles.get_mut(&set) else { return };
        let is_hopeless = !title.is_open() || told.deadline.saturating_since(at) <= lead;
        if is_hopeless || !is_whole || self.holds.len() >= WAITING {
            return self.ledger.by_unicast(set, bytes);
        }
        let until = told.deadline - lead;
        let waiter = Waiter { member, deadline: told.deadline, until, bytes };
        title.waiting.entry(segment).or_default().push(waiter);
        self.holds.insert((until, set, segment, member));
        self.want(at, set, segment, unicast);
    }

    /// Lets time pass; says when it has to be called again at the latest.
    pub(super) fn turn(&mut self, now: Instant, unix: u64) -> Instant {
        self.ledger.set_time(unix);
        self.join(now);
        self.coalescer.handle_timeout(now);
        self.events(now);
        while let Some(train) = self.coalescer.next_train(now) {
            let bytes = u64::from(train.part.datagrams()) * DATAGRAM_BASE as u64;
            self.ledger.by_group(train.set, bytes);
            self.events(now);
        }
        self.give_up(now);
        self.second(now);
        let hold = self.holds.first().map(|(until, ..)| *until);
        let join = self.joins.front().map(|(at, ..)| *at);
        let times = [self.coalescer.poll_timeout(), hold, join, Some(self.next_second)];
        times.into_iter().flatten().min().unwrap_or(self.next_second)
    }

    /// Whether the session is a member, or becomes one now.
    fn admit(&mut self, told: &Told, facts: &SetFacts) -> bool {
        let Told { at, member, set, segment, .. } = *told;
        let known = self.titles.get_mut(&set).and_then(|title| title.viewers.get_mut(&member));
        if let Some(viewer) = known {
            (viewer.asked, viewer.position) = (at, segment);
            if viewer.joined.is_some() && at.saturating_since(viewer.told) >= TELLS {
                self.tell(at, set, member);
            }
            return true;
        }
        if self.members >= GROUP_MEMBERS {
            return false;
        }
        self.members += 1;
        let title = self.titles.entry(set).or_insert_with(|| Title::new(*facts));
        let viewer = Viewer { asked: at, joined: None, position: segment, told: at };
        title.viewers.insert(member, viewer);
        self.ledger.begins(set, facts, segment);
        self.joins.push_back((at + JOINS_AFTER, set, member));
        self.coalescer.note(at, set, facts, Note::Hears { member });
        self.events(at);
        true
    }

    /// Tells the coalescer where a member is, and that it hears all channels.
    fn tell(&mut self, now: Instant, set: SetId, member: Member) {
        let channels = self.coalescer.channels(&set).len();
        let Some(title) = self.titles.get_mut(&set) else { return };
        let Some(viewer) = title.viewers.get_mut(&member) else { return };
        viewer.told = now;
        let listening = u32::try_from((1_u64 << channels) - 1).unwrap_or(u32::MAX);
        let (position, window) = (viewer.position, u32::MAX);
        let note = Note::Member { member, position, window, listening, lossy: false };
        self.coalescer.note(now, set, &title.facts, note);
    }

    /// Those who have had time to join a group are members.
    fn join(&mut self, now: Instant) {
        while let Some((_, set, member)) = self.joins.pop_front_if(|(at, ..)| *at <= now) {
            let Some(title) = self.titles.get_mut(&set) else { continue };
            let Some(viewer) = title.viewers.get_mut(&member) else { continue };
            viewer.joined = Some(now);
            let waits = |waiters: &Vec<Waiter>| waiters.iter().any(|w| w.member == member);
            let waited = title.waiting.iter().filter(|(_, waiters)| waits(waiters));
            let segments: Vec<u32> = waited.map(|(segment, _)| *segment).collect();
            let unicast = self.unicast_of(set);
            self.tell(now, set, member);
            segments.into_iter().for_each(|segment| self.want(now, set, segment, unicast));
        }
    }

    /// Tells the coalescer who wants a segment, if somebody does who listens.
    fn want(&mut self, now: Instant, set: SetId, segment: u32, unicast: Duration) {
        let Some(title) = self.titles.get(&set) else { return };
        let Some((Waiter { member, deadline, .. }, waiters)) = title.first_waiter(segment) else {
            return;
        };
        let note = Note::Want { segment, deadline, unicast, member, waiters };
        self.coalescer.note(now, set, &title.facts, note);
        self.events(now);
    }

    fn events(&mut self, now: Instant) {
        while let Some((set, event)) = self.coalescer.poll_event() {
            match event {
                Event::Channels => self.on_channels(now, set),
                Event::Begun { segment } => {
                    let title = self.titles.get_mut(&set);
                    let served = title.map_or(0, |title| title.on_sent(now, segment));
                    self.ledger.send(set, served);
                }
                Event::Alone { segment } => self.alone(set, segment),
                Event::Populate { .. } => {}
            }
        }
    }

    fn on_channels(&mut self, now: Instant, set: SetId) {
        let is_open = !self.coalescer.channels(&set).is_empty();
        let Some(title) = self.titles.get_mut(&set) else { return };
        title.set_open(now, is_open);
        if is_open {
            let joined = title.viewers.iter().filter(|(_, viewer)| viewer.joined.is_some());
            let members: Vec<Member> = joined.map(|(member, _)| *member).collect();
            members.into_iter().for_each(|member| self.tell(now, set, member));
        } else {
            let segments: Vec<u32> = title.waiting.keys().copied().collect();
            segments.into_iter().for_each(|segment| self.alone(set, segment));
        }
    }

    /// Those who wait for a segment would be served by unicast.
    fn alone(&mut self, set: SetId, segment: u32) {
        let Some(title) = self.titles.get_mut(&set) else { return };
        for waiter in title.waiting.remove(&segment).unwrap_or_default() {
            self.holds.remove(&(waiter.until, set, segment, waiter.member));
            self.ledger.by_unicast(set, waiter.bytes);
        }
    }

    /// Who has waited for as long as they could would be served by unicast.
    fn give_up(&mut self, now: Instant) {
        while let Some((until, set, segment, member)) = self.holds.first().copied()
            && until <= now
        {
            self.holds.pop_first();
            let Some(title) = self.titles.get_mut(&set) else { continue };
            // Served by now: nobody waits any more.
            let Some(waiters) = title.waiting.get_mut(&segment) else { continue };
            let late = waiters.extract_if(.., |w| w.member == member && w.until == until);
            let bytes = late.map(|waiter| waiter.bytes).sum();
            if waiters.is_empty() {
                title.waiting.remove(&segment);
                let unwant = Note::Unwant { segment, shard: member.shard };
                self.coalescer.note(now, set, &title.facts, unwant);
            }
            self.ledger.by_unicast(set, bytes);
            self.events(now);
        }
    }

    /// Once a second: who views what, and who has gone.
    fn second(&mut self, now: Instant) {
        if now < self.next_second {
            return;
        }
        self.next_second = now + SECOND;
        for (set, title) in &mut self.titles {
            let gone = |viewer: &Viewer| now.saturating_since(viewer.asked) >= STAYS;
            for (member, _) in title.viewers.extract_if(.., |_, viewer| gone(viewer)) {
                self.members -= 1;
                self.coalescer.note(now, *set, &title.facts, Note::Gone { member });
            }
            let groups = self.coalescer.channels(set).len();
            self.ledger.second(*set, title.viewers.len() as u64, groups as u64);
        }
        self.titles.retain(|_, title| !title.viewers.is_empty() || title.is_open());
        self.events(now);
    }

    /// How long a unicast of a segment takes.
    fn unicast(&self, facts: &SetFacts, rate: Option<Rate>) -> Duration {
        let bytes = u64::from(facts.segment_bytes);
        let own = facts.playing.unwrap_or_else(|| self.bulk_rate.time_for(bytes));
        rate.map_or(own / UNKNOWN_PATH, |rate| rate.time_for(bytes)).clamp(UNICAST_MIN, UNICAST_MAX)
    }

    fn unicast_of(&self, set: SetId) -> Duration {
        self.titles.get(&set).map_or(UNICAST_MAX, |title| self.unicast(&title.facts, None))
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::ids::ReceiverIndex;

    use super::*;

    const SET: SetId = SetId([7; 16]);
    const STORED: u64 = 1600 * 1152;

    fn facts() -> SetFacts {
        SetFacts {
            segments: 40,
            segment_bytes: STORED as u32,
            symbols: 1600,
            parity: 400,
            playing: Some(Duration::from_secs(3)),
        }
    }

    fn member(number: u32) -> Member {
        Member { shard: 0, session: ReceiverIndex::new(number, 0) }
    }

    fn told(at: Instant, number: u32, segment: u32, deadline: Duration) -> Told {
        Told {
            at,
            member: member(number),
            set: SET,
            facts: Some(facts()),
            segment,
            bytes: STORED,
            repair: false,
            deadline: at + deadline,
            rate: Some(Rate::new(50_000_000)),
        }
    }

    fn engine() -> (Engine, Instant) {
        let now = Instant::from_nanos(1_000_000_000);
        let rate = Rate::new(12_500_000);
        let config = CoalescerConfig {
            shard: 0,
            channels: 16,
            members: GROUP_MEMBERS,
            rate: Rate::MAX,
            channel_rate: rate,
            bulk_rate: rate,
        };
        (Engine::new(config, [1; 32], now), now)
    }

    /// Lets so much time pass, in the steps that the engine asks for.
    fn pass(engine: &mut Engine, now: &mut Instant, time: Duration) {
        let end = *now + time;
        while *now < end {
            let next = engine.turn(*now, 3600);
            *now = next.max(*now + Duration::from_micros(100)).min(end);
        }
        engine.turn(end, 3600);
    }

    #[test]
    fn eight_viewers_who_ask_in_time_would_cost_one_send_each_segment() {
        let (mut engine, mut now) = engine();
        engine.turn(now, 3600);
        (0..8).for_each(|number| engine.take(&told(now, number, 0, Duration::ZERO)));
        pass(&mut engine, &mut now, Duration::from_secs(1));
        for segment in 1..11 {
            (0..8).for_each(|n| engine.take(&told(now, n, segment, Duration::from_secs(6))));
        }
        pass(&mut engine, &mut now, Duration::from_secs(20));
        let lines = engine.lines();
        let line = &lines[0];
        assert_eq!(line.sent_bytes, 8 * 11 * STORED);
        assert_eq!((line.group_sends, line.group_served), (10, 80));
        assert_eq!(line.would_unicast_bytes, 8 * STORED, "what was wanted at once");
        // 1600 symbols, 23 LEAVES, one GROUP_PROBE, each in 1200 bytes.
        assert_eq!(line.would_group_bytes, 10 * 1624 * 1200);
        assert!((0.75..0.80).contains(&line.saved), "{line:?}");
        assert!(line.peak_second_bytes <= 13_000_000, "at the channel's pace: {line:?}");
        assert!(engine.holds.is_empty() && engine.titles[&SET].waiting.is_empty());
    }

    #[test]
    fn what_was_sent_while_a_viewer_listened_it_would_not_ask_for() {
        let (mut engine, mut now) = engine();
        engine.turn(now, 3600);
        (0..3).for_each(|number| engine.take(&told(now, number, 0, Duration::ZERO)));
        pass(&mut engine, &mut now, Duration::from_secs(1));
        (0..2).for_each(|n| engine.take(&told(now, n, 9, Duration::from_secs(6))));
        pass(&mut engine, &mut now, Duration::from_secs(8));
        engine.take(&told(now, 2, 9, Duration::from_secs(6)));
        pass(&mut engine, &mut now, Duration::from_secs(8));
        let line = &engine.lines()[0];
        assert_eq!((line.group_sends, line.group_served), (1, 3));
        assert_eq!(line.would_unicast_bytes, 3 * STORED);
    }

    #[test]
    fn one_viewer_alone_and_sets_without_parity_would_cost_what_they_cost() {
        let (mut engine, mut now) = engine();
        engine.turn(now, 3600);
        for segment in 0..5 {
            engine.take(&told(now, 1, segment, Duration::from_secs(6)));
            let other = SetId([8; 16]);
            engine.take(&Told { set: other, facts: None, ..told(now, 2, segment, Duration::ZERO) });
        }
        pass(&mut engine, &mut now, Duration::from_secs(40));
        for line in engine.lines() {
            assert_eq!((line.sent_bytes, line.would_unicast_bytes), (5 * STORED, 5 * STORED));
            assert_eq!((line.saved, line.group_sends), (0.0, 0));
        }
        assert_eq!((engine.members, engine.titles.len()), (0, 0), "who asks no more is gone");
    }
}
