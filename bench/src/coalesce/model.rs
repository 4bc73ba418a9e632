//! Viewers as the protocol's client is, one shard that holds their requests, and the production [`Coalescer`], all in virtual
//! time.

mod viewer;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use segcast_proto::coalesce::{
    Coalescer, CoalescerConfig, Event, Member, Note, Part, SetFacts, Train, UNICAST_MARGIN,
    UNKNOWN_PATH,
};
use segcast_proto::ids::{ChannelId, ReceiverIndex, SetId};
use segcast_proto::rate::Rate;
use segcast_proto::time::{Duration, Instant};

use self::viewer::Viewer;
use super::crowd::{Crowd, uniform};
use super::plan::{PLAYING, Plan, SEGMENT_BYTES, SEGMENTS};

const SET: SetId = SetId([1; 16]);
const SYMBOLS: u16 = 1600;
const PARITY: u16 = 96;
/// What a segment takes by unicast, s, where the path is not known.
const UNICAST: f64 = PLAYING / SEGMENTS as f64 / UNKNOWN_PATH as f64;
/// The owner is told so much more, s, so that it decides before the hold ends.
const OWNER_FIRST: f64 = 0.02;
/// Both ways, and until a member that was invited hears, s.
const FEEDBACK: f64 = 0.02;
const JOIN: f64 = 0.3;
/// How often a member is told of, s.
const REPORTS: f64 = 5.0;
/// A segment's bytes on the wire for each of its own by unicast; datagrams of groups, and the messages beside them, bytes.
const UNICAST_WIRE: f64 = 1440.0 / 1392.0;
const DATAGRAM: f64 = 1200.0;
const STATUS: f64 = 60.0;
const GROUP_KEY: f64 = 132.0;
const GROUP_KEY_CHANNEL: f64 = 32.0;

/// What was sent in the time that counts, bytes, and what came too late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) group: f64,
    pub(super) unicast: f64,
    pub(super) control: f64,
    pub(super) deadlines: u64,
    pub(super) missed: u64,
    /// The most that were open at once.
    pub(super) channels: usize,
}

impl Done {
    /// Takes in what came of another title.
    pub(super) fn add(&mut self, other: &Self) {
        self.group += other.group;
        self.unicast += other.unicast;
        self.control += other.control;
        self.deadlines += other.deadlines;
        self.missed += other.missed;
        self.channels += other.channels;
    }
}

/// What happens at some moment to a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Come,
    Listen,
    Ask(u32),
    HoldEnds(u32),
    Report,
    Go,
}

/// A request that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    viewer: usize,
    deadline: f64,
}

/// A segment that is being sent.
struct Sending {
    channel: ChannelId,
    began: f64,
    parity: u16,
    served: Vec<Held>,
}

/// One run.
pub(super) struct Model {
    plan: Plan,
    rng: ChaCha20Rng,
    coalescer: Coalescer,
    facts: SetFacts,
    viewers: Vec<Viewer>,
    /// Those that watch.
    here: Vec<usize>,
    steps: BinaryHeap<Reverse<(Instant, usize, Step)>>,
    held: BTreeMap<u32, Vec<Held>>,
    sending: BTreeMap<u32, Sending>,
    now: f64,
    done: Done,
}

impl Model {
    pub(super) fn new(plan: Plan, crowd: Crowd, seed: u64) -> Self {
        let config = CoalescerConfig {
            shard: 0,
            channels: 4096,
            members: 65_536,
            rate: Rate::from_kilobits(100_000_000),
            channel_rate: Rate::from_kilobits(100_000),
            bulk_rate: Rate::from_kilobits(50_000),
        };
        let facts = SetFacts {
            segments: SEGMENTS,
            segment_bytes: SEGMENT_BYTES,
            symbols: SYMBOLS,
            parity: PARITY,
            playing: Some(Duration::from_secs_f64(PLAYING / f64::from(SEGMENTS))),
        };
        let viewers: Vec<_> = crowd.0.into_iter().map(Viewer::new).collect();
        let come = |(number, viewer): (usize, &Viewer)| {
            Reverse((instant(viewer.arrival.at), number, Step::Come))
        };
        Self {
            plan,
            rng: ChaCha20Rng::seed_from_u64(seed ^ 0x636f_616c),
            coalescer: Coalescer::new(config, [0; 32], Instant::ZERO),
            facts,
            steps: viewers.iter().enumerate().map(come).collect(),
            viewers,
            here: Vec::new(),
            held: BTreeMap::new(),
            sending: BTreeMap::new(),
            now: 0.0,
            done: Done::default(),
        }
    }

    pub(super) fn run(mut self) -> Done {
        let end = self.plan.from() + self.plan.window();
        loop {
            let step = self.steps.peek().map_or(Instant::FAR_FUTURE, |Reverse((at, ..))| *at);
            let due = self.coalescer.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
            let at = step.min(due);
            self.now = self.now.max(seconds(at));
            if at == Instant::FAR_FUTURE || self.now > end {
                return self.done;
            }
            if due <= step {
                self.send(due);
            } else if let Some(Reverse((_, viewer, step))) = self.steps.pop() {
                self.step(viewer, step);
            }
        }
    }

    fn counts(&self) -> bool {
        self.now >= self.plan.from()
    }

    fn at(&mut self, at: f64, viewer: usize, step: Step) {
        self.steps.push(Reverse((instant(at.max(self.now)), viewer, step)));
    }

    fn step(&mut self, viewer: usize, step: Step) {
        match step {
            Step::Come => self.come(viewer),
            Step::Listen => self.listen(viewer),
            Step::Ask(segment) => self.ask(viewer, segment),
            Step::HoldEnds(segment) => self.hold_ends(viewer, segment),
            Step::Report => self.report(viewer),
            Step::Go => {
                self.here.retain(|other| *other != viewer);
                self.viewers[viewer].gone = true;
                self.note(Note::Gone { member: member(viewer) });
            }
        }
    }

    fn come(&mut self, viewer: usize) {
        self.here.push(viewer);
        let first = self.viewers[viewer].arrival.first;
        let left = f64::from(SEGMENTS - first) * PLAYING / f64::from(SEGMENTS);
        self.at(self.now + left + super::plan::STARTUP, viewer, Step::Go);
        let is_open = !self.coalescer.channels(&SET).is_empty();
        self.note(Note::Hears { member: member(viewer) });
        if is_open {
            self.invite(viewer);
        }
        self.at(self.now + FEEDBACK / 2.0, viewer, Step::Ask(first));
        self.at(self.now + REPORTS, viewer, Step::Report);
    }

    /// GROUP_KEY goes to a viewer.
    fn invite(&mut self, viewer: usize) {
        let channels = self.coalescer.channels(&SET).len();
        if self.counts() {
            self.done.control += GROUP_KEY + GROUP_KEY_CHANNEL * channels as f64;
        }
        self.viewers[viewer].invited = true;
        self.at(self.now + FEEDBACK + JOIN, viewer, Step::Listen);
    }

    fn listen(&mut self, viewer: usize) {
        let channels = self.coalescer.channels(&SET);
        self.viewers[viewer].listen(self.now, channels);
        self.tell(viewer);
        // What was held since the invitation follows.
        let held = self.held.iter().filter(|(_, held)| held.iter().any(|h| h.viewer == viewer));
        let segments: Vec<u32> = held.map(|(segment, _)| *segment).collect();
        segments.into_iter().for_each(|segment| self.want(segment));
    }

    fn report(&mut self, viewer: usize) {
        if self.viewers[viewer].is_done() || self.viewers[viewer].gone {
            return;
        }
        self.tell(viewer);
        self.at(self.now + REPORTS, viewer, Step::Report);
    }

    fn tell(&mut self, viewer: usize) {
        let position = self.viewers[viewer].position();
        let listening = self.viewers[viewer].mask(self.coalescer.channels(&SET));
        let member = member(viewer);
        self.note(Note::Member { member, position, window: u32::MAX, listening, lossy: false });
    }

    /// Asks for a segment that was not overheard meanwhile, and plans the next.
    fn ask(&mut self, viewer: usize, segment: u32) {
        if !self.viewers[viewer].has(segment) && !self.is_coming(viewer, segment) {
            self.request(viewer, segment);
        }
        let Some(next) = self.viewers[viewer].next_after(segment) else { return };
        let ahead = 16.0 - 8.0 * uniform(&mut self.rng);
        let deadline = self.viewers[viewer].deadline(next);
        self.at(deadline - ahead, viewer, Step::Ask(next));
    }

    /// Whether it is being sent, and all of it heard.
    fn is_coming(&self, viewer: usize, segment: u32) -> bool {
        let viewer = &self.viewers[viewer];
        let sending = self.sending.get(&segment);
        sending.is_some_and(|sending| viewer.hears(sending.channel, sending.began))
    }

    fn request(&mut self, viewer: usize, segment: u32) {
        let deadline = self.viewers[viewer].deadline(segment);
        self.done.deadlines += u64::from(self.counts());
        let until = deadline - UNICAST - UNICAST_MARGIN.as_secs_f64();
        if !self.viewers[viewer].invited || until <= self.now {
            self.unicast(viewer, segment, deadline);
            return;
        }
        self.held.entry(segment).or_default().push(Held { viewer, deadline });
        self.at(until, viewer, Step::HoldEnds(segment));
        if self.viewers[viewer].listens() {
            self.want(segment);
        }
    }

    /// The state of a segment's holds goes to the owner.
    fn want(&mut self, segment: u32) {
        let Some(held) = self.held.get(&segment) else { return };
        let listening = || held.iter().filter(|held| self.viewers[held.viewer].listens());
        let Some(first) = listening().min_by(|a, b| a.deadline.total_cmp(&b.deadline)) else {
            return;
        };
        let note = Note::Want {
            segment,
            deadline: instant(first.deadline),
            unicast: Duration::from_secs_f64(UNICAST + OWNER_FIRST),
            member: member(first.viewer),
            waiters: listening().count() as u16,
        };
        self.note(note);
    }

    fn hold_ends(&mut self, viewer: usize, segment: u32) {
        let Some(held) = self.held.get_mut(&segment) else { return };
        let Some(at) = held.iter().position(|held| held.viewer == viewer) else { return };
        let deadline = held.swap_remove(at).deadline;
        if held.is_empty() {
            self.held.remove(&segment);
            self.note(Note::Unwant { segment, shard: 0 });
        }
        self.unicast(viewer, segment, deadline);
    }

    fn unicast(&mut self, viewer: usize, segment: u32, deadline: f64) {
        if self.counts() {
            let again = 1.0 / (1.0 - self.plan.loss);
            self.done.unicast += f64::from(SEGMENT_BYTES) * UNICAST_WIRE * again + STATUS;
            // The first of a viewer whom nobody could hold plays as soon as it has come.
            let late = self.now + UNICAST > deadline + 1e-6;
            self.done.missed += u64::from(late);
        }
        self.viewers[viewer].got(segment);
    }

    fn note(&mut self, note: Note) {
        let facts = self.facts;
        self.coalescer.note(instant(self.now), SET, &facts, note);
        self.events();
    }

    /// The owner's turn.
    fn send(&mut self, due: Instant) {
        self.coalescer.handle_timeout(due);
        self.events();
        while let Some(train) = self.coalescer.next_train(due) {
            self.train(&train);
            self.events();
        }
    }

    fn train(&mut self, train: &Train) {
        if self.counts() {
            self.done.group += f64::from(train.part.datagrams()) * DATAGRAM;
        }
        let (began, channel) = (self.now, train.channel);
        let nobody = || Sending { channel, began, parity: 0, served: Vec::new() };
        let sending = self.sending.entry(train.segment).or_insert_with(nobody);
        match train.part {
            Part::Symbols { first, count } => {
                sending.parity = (first + count).saturating_sub(SYMBOLS);
            }
            Part::Leaves { .. } => {}
            Part::Probe => self.sent(train.segment),
        }
    }

    fn sent(&mut self, segment: u32) {
        let Some(sending) = self.sending.remove(&segment) else { return };
        if self.counts() {
            let late = |held: &&Held| self.now + FEEDBACK / 2.0 > held.deadline;
            self.done.missed += sending.served.iter().filter(late).count() as u64;
        }
        for at in 0..self.here.len() {
            let viewer = self.here[at];
            let state = &self.viewers[viewer];
            if state.hears(sending.channel, sending.began) && state.needs(segment) {
                self.viewers[viewer].got(segment);
                self.repair(viewer, segment, sending.parity);
            }
        }
    }

    /// What a viewer lost of a send, beyond its parity, comes by unicast.
    fn repair(&mut self, viewer: usize, segment: u32, parity: u16) {
        if self.plan.loss == 0.0 {
            return;
        }
        let lost = self.lost(SYMBOLS + parity);
        let Some(symbols) = lost.checked_sub(parity).filter(|lacks| *lacks > 0) else { return };
        if self.counts() {
            let bytes = f64::from(symbols) * 1152.0 * UNICAST_WIRE;
            self.done.unicast += bytes / (1.0 - self.plan.loss) + STATUS;
        }
        let deadline = instant(self.viewers[viewer].deadline(segment));
        self.note(Note::Lack { segment, member: member(viewer), symbols, deadline });
    }

    /// How many of `sent` datagrams a viewer does not get: the normal approximation, good from some twenty on.
    fn lost(&mut self, sent: u16) -> u16 {
        let (sent, loss) = (f64::from(sent), self.plan.loss);
        let sum: f64 = (0..12).map(|_| uniform(&mut self.rng)).sum();
        let deviation = (sent * loss * (1.0 - loss)).sqrt();
        (sent * loss + deviation * (sum - 6.0)).round().clamp(0.0, sent) as u16
    }

    fn events(&mut self) {
        while let Some((_, event)) = self.coalescer.poll_event() {
            match event {
                Event::Channels => self.channels(),
                Event::Begun { segment } => self.begun(segment),
                Event::Alone { segment } => self.alone(segment),
                Event::Populate { .. } => {}
            }
        }
    }

    fn channels(&mut self) {
        self.done.channels = self.done.channels.max(self.coalescer.channels(&SET).len());
        for at in 0..self.here.len() {
            self.invite(self.here[at]);
        }
    }

    /// Who heard it from its beginning is served; who was invited a moment ago stays held, until they listen or their time
    /// ends.
    fn begun(&mut self, segment: u32) {
        let Some(sending) = self.sending.get_mut(&segment) else { return };
        let Some(held) = self.held.get_mut(&segment) else { return };
        let (viewers, before) = (&self.viewers, sending.served.len());
        let served = |held: &mut Held| viewers[held.viewer].hears(sending.channel, sending.began);
        sending.served.extend(held.extract_if(.., served));
        let served = (sending.served.len() - before) as f64;
        if held.is_empty() {
            self.held.remove(&segment);
        }
        if self.counts() {
            self.done.control += served * STATUS;
        }
    }

    fn alone(&mut self, segment: u32) {
        for held in self.held.remove(&segment).unwrap_or_default() {
            self.unicast(held.viewer, segment, held.deadline);
        }
    }
}

fn member(viewer: usize) -> Member {
    Member { shard: 0, session: ReceiverIndex::new(viewer as u32, 0) }
}

fn instant(seconds: f64) -> Instant {
    Instant::from_nanos((seconds * 1e9) as u64)
}

fn seconds(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e9
}
