//! [`Sender`]: joins the records of what was sent, the path model, the pacer and the checks of reports.

mod settle;

use super::missing::Missing;
use super::model::{Model, Phase, Report};
use super::rate_sample::{Delivery, RateSample, SlowData};
use super::report::{FeedbackView, Lie, ReportOutcome, rtt_sample};
use super::rtt::{DEFAULT_RTT, Rtt};
use super::silence::Silence;
use super::skip::{CHECKED, Skips};
use super::train_size::{CATCH_UP, made_good, on_a_short_path, train_bytes};
use super::trains::Trains;
use crate::pacer::Pacer;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// The reordering window is a quarter of the round trip, at least this: less is noise of clocks and batching.
const REORDER_MIN: Duration = Duration::from_millis(1);

/// What a sender starts with.
#[derive(Clone, Copy, Debug)]
pub struct SenderConfig {
    /// The handshake's round trip, if measured.
    pub initial_rtt: Option<Duration>,
    /// UDP payload of a full datagram, bytes.
    pub datagram_bytes: usize,
    /// Upper bound of the rate: of the token and of the edge.
    pub rate_cap: Option<Rate>,
    /// Secret of the session that decides which sequence numbers are skipped. Never known to the client.
    pub skip_key: [u8; 16],
}

/// The sending side of one path. About 85 KiB: made when a session begins to send, dropped when it is idle.
#[derive(Debug)]
pub struct Sender {
    model: Model,
    pacer: Pacer,
    rtt: Rtt,
    delivery: Delivery,
    trains: Trains,
    missing: Missing,
    skips: Skips,
    silence: Silence,
    datagram: usize,
    rate_cap: Option<Rate>,
    room: u64,
    /// The first number not sent.
    next_sequence: u64,
    /// The first number above all reported.
    reported_below: u64,
    /// The first number that is neither reported nor missing.
    next_unreported: u64,
    ce_count: u32,
    /// The reordering window is `1 << reorder_shift` quarters of a round trip, at most a whole one.
    reorder_shift: u32,
    /// A datagram may leave past the window: a probe after silence.
    probe: bool,
    /// How long the next train has stood ready while others had their turns.
    waited: Duration,
}

impl Sender {
    /// A sender for a new path. Allocates its rings; nothing allocates later.
    #[must_use]
    pub fn new(now: Instant, config: SenderConfig) -> Self {
        let datagram = config.datagram_bytes.max(1);
        let seed = u128::from_le_bytes(config.skip_key);
        let initial_rtt = config.initial_rtt.unwrap_or(DEFAULT_RTT).max(Duration::from_micros(1));
        Self {
            model: Model::new(now, initial_rtt, datagram, (seed >> 64) as u64 ^ seed as u64),
            pacer: Pacer::new(now),
            rtt: Rtt::new(config.initial_rtt),
            delivery: Delivery::new(now),
            trains: Trains::new(datagram),
            missing: Missing::new(),
            skips: Skips::new(config.skip_key),
            silence: Silence::default(),
            datagram,
            rate_cap: config.rate_cap,
            room: u64::MAX,
            next_sequence: 0,
            reported_below: 0,
            next_unreported: 0,
            ce_count: 0,
            reorder_shift: 0,
            probe: false,
            waited: Duration::ZERO,
        }
    }

    /// The next train has stood ready for `waited` while other sessions had their turns: that is made good, up to
    /// 16 ms, and after more than a millisecond the train is no measure of its path. A busy shard must not teach its
    /// sessions that their paths are slow.
    pub fn set_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// How many bytes of UDP payload the next train may carry now, a whole number of datagrams and at least one.
    /// `None`: not now; [`Self::next_send_time`] says when, unless it waits for a report.
    #[must_use]
    pub fn train_budget(&self, now: Instant) -> Option<usize> {
        if now < self.pacer.next() || self.silence.stopped() {
            return None;
        }
        let datagram = self.datagram as u64;
        let late = self.pacer.late(now, made_good(self.waited));
        let room = self.room.saturating_sub(self.delivery.in_flight);
        let window = if self.window_is_open() { self.window_left() } else { 0 };
        let mut bytes = self.train_bytes(late).min(room).min(window);
        if bytes < datagram && self.probe && room >= datagram {
            bytes = datagram;
        }
        let bytes = bytes - bytes % datagram;
        (bytes > 0).then_some(bytes as usize)
    }

    /// When pacing allows the next train; `None` while only a report (or a timeout) can allow it.
    #[must_use]
    pub fn next_send_time(&self) -> Option<Instant> {
        let datagram = self.datagram as u64;
        let in_flight = self.delivery.in_flight;
        let open = self.window_is_open() || self.probe;
        let room = in_flight + datagram <= self.room;
        (open && room && !self.silence.stopped()).then(|| self.pacer.next())
    }

    /// Asked before each train and control packet with the number it would get: if true, that number is never
    /// sent, the caller skips it in its sealer and goes on with the one after it.
    #[must_use]
    pub fn should_skip(&mut self, next_sequence: u64) -> bool {
        let skip = self.skips.should_skip(next_sequence);
        if skip {
            self.next_sequence = self.next_sequence.max(next_sequence + 1);
        }
        skip
    }

    /// A train was sent: `datagrams` consecutive numbers from `first_sequence`, `bytes` of UDP payload in all, its
    /// frame headers stamped with `now`. `app_limited`: there is nothing to send after it for now.
    pub fn on_sent(
        &mut self,
        now: Instant,
        first_sequence: u64,
        datagrams: u32,
        bytes: u64,
        app_limited: bool,
    ) {
        let rate = self.pacing_rate();
        // Whatever but the path holds the sender back makes its samples no measure of the path.
        let held_back = rate < self.model.pacing_rate()
            || self.delivery.in_flight + bytes + self.datagram as u64 > self.room
            || self.waited > CATCH_UP
            || self.model.phase() == Phase::ProbeRtt;
        let at_send =
            self.delivery.on_sent(now, bytes, app_limited || held_back, self.model.is_slow());
        self.trains.push(
            (first_sequence, u64::from(datagrams)),
            bytes,
            self.datagram,
            now,
            at_send,
        );
        self.next_sequence = first_sequence.saturating_add(u64::from(datagrams));
        if !self.window_is_open() {
            self.model.on_window_limited();
        }
        self.pacer.on_sent(now, rate.time_for(bytes), made_good(self.waited));
        self.waited = Duration::ZERO;
        self.silence.on_sent(now, self.rtt.probe_timeout());
        self.probe = false;
    }

    /// A control packet was sent, its frame header stamped with `now`. It is numbered, but takes no part in
    /// congestion control, and no report is due for it.
    pub fn on_control_sent(&mut self, now: Instant, sequence: u64) {
        let at_send = self.delivery.on_sent(now, 0, false, false);
        self.trains.push((sequence, 1), 0, 0, now, at_send);
        self.next_sequence = sequence.saturating_add(1);
    }

    /// Takes in an authentic report. The caller drops those whose number is not above all before: what they say
    /// about `room` is stale.
    ///
    /// # Errors
    /// A [`Lie`]: the report changes nothing, and the session must be closed.
    pub fn on_report(
        &mut self,
        now: Instant,
        report: &FeedbackView<'_>,
    ) -> Result<ReportOutcome, Lie> {
        let (highest, is_echo_true) = self.check(report)?;
        let before = self.pacing_rate();
        let is_newest = highest >= self.reported_below;
        let is_current = highest + 1 >= self.reported_below;
        self.reported_below = self.reported_below.max(highest + 1);
        let mut outcome = ReportOutcome::default();
        let newest = self.take_ranges(now, report.ranges, &mut outcome);
        outcome.rtt_sample = (is_newest && is_echo_true).then(|| rtt_sample(now, report)).flatten();
        if let Some(rtt) = outcome.rtt_sample {
            self.rtt.sample(rtt);
        }
        let sample = match newest {
            Some(train) => self.delivery.sample(now, &train, self.model.min_rtt()),
            None => RateSample::default(),
        };
        let mut digest = Report {
            now,
            sample,
            rtt: outcome.rtt_sample,
            newly_delivered: outcome.newly_delivered_bytes,
            newly_lost: 0,
            slow: SlowData::default(),
            lost_ranges: 0,
            marked: self.new_marks(report.ce_count),
            in_flight: 0,
        };
        if is_current && outcome.newly_delivered_bytes == 0 {
            self.note_lost_tail(now);
        }
        self.give_up_lost(&mut digest);
        outcome.newly_lost_bytes = digest.newly_lost;
        if is_current {
            self.room = report.room_bytes;
            self.hear(now);
        }
        self.model.on_report(&digest, self.delivery.delivered);
        // Only a rate that rose shortens a wait: under a cap lower than a datagram in a round trip, every wait is
        // longer than that, and is meant to be.
        if self.pacing_rate() > before {
            self.pacer.shorten(now, self.rtt.smoothed());
        }
        Ok(outcome)
    }

    /// Call at or after [`Self::next_timeout`].
    pub fn on_timer(&mut self, now: Instant) {
        if self.silence.on_timer(now, self.rtt.probe_timeout()) {
            self.probe = !self.silence.stopped();
        }
        let window = self.reorder_window();
        if self.missing.oldest_pending().is_some_and(|since| since + window <= now) {
            let mut digest = Report {
                now,
                sample: RateSample::default(),
                rtt: None,
                newly_delivered: 0,
                newly_lost: 0,
                slow: SlowData::default(),
                lost_ranges: 0,
                marked: false,
                in_flight: 0,
            };
            self.give_up_lost(&mut digest);
            self.model.on_report(&digest, self.delivery.delivered);
        }
    }

    /// When [`Self::on_timer`] has something to do: a number is given up, or a report is overdue.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let lost = self.missing.oldest_pending().map(|since| since + self.reorder_window());
        match (lost, self.silence.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// An authentic packet other than a REPORT came. Sending that had stopped for want of reports may begin again,
    /// carefully: with an initial window, and for a second at most without reports.
    pub fn on_peer_packet(&mut self, now: Instant) {
        if self.silence.stopped() {
            self.abandon(now);
            self.model.on_resume();
        }
    }

    /// The client can take `bytes` beyond what it received.
    pub fn set_room(&mut self, bytes: u64) {
        self.room = bytes;
    }

    /// From now on full datagrams have `bytes` of UDP payload.
    pub fn set_datagram_bytes(&mut self, bytes: usize) {
        self.datagram = bytes.max(1);
        self.model.set_datagram(self.datagram);
        self.trains.watch(self.datagram);
    }

    /// Upper bound of the rate from now on.
    pub fn set_rate_cap(&mut self, cap: Option<Rate>) {
        self.rate_cap = cap;
    }

    /// The client moved to a new address: the round trip and the rate begin anew; what was in flight on the old path
    /// is neither delivered nor lost. Skipped numbers and send times are still checked.
    pub fn path_changed(&mut self, now: Instant) {
        self.abandon(now);
        let seed = self.next_sequence ^ self.delivery.delivered;
        self.model = Model::new(now, DEFAULT_RTT, self.datagram, seed);
        self.rtt = Rtt::new(None);
        self.delivery = Delivery::new(now);
        self.pacer = Pacer::new(now);
        self.reorder_shift = 0;
    }

    /// Smoothed round trip.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.rtt.smoothed()
    }

    /// Least round trip of the last 10 s.
    #[must_use]
    pub fn min_rtt(&self) -> Duration {
        self.model.min_rtt()
    }

    /// At which trains leave now.
    #[must_use]
    pub fn pacing_rate(&self) -> Rate {
        let cap = self.rate_cap.map_or(Rate::MAX, |cap| cap.max(Rate::LEAST));
        let rate = cap.min(self.model.pacing_rate());
        self.silence.slowed(rate)
    }

    /// What the path was found to carry; [`Rate::ZERO`] before the first sample.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.model.rate()
    }

    /// Bytes sent that are neither reported nor given up.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.delivery.in_flight
    }

    /// Bytes that may be in flight.
    #[must_use]
    pub fn window(&self) -> u64 {
        // What is older than the numbers that are checked would count as lost.
        self.model.window().min(CHECKED * self.datagram as u64)
    }

    /// What the model is doing: for metrics.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.model.phase()
    }

    /// The path is not what bounds the rate.
    #[must_use]
    pub fn is_app_limited(&self) -> bool {
        self.delivery.is_app_limited()
    }

    /// Reports stayed away for a second, and nothing is sent until the client is heard.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.silence.stopped()
    }

    /// Whole trains of the current datagram size that vanished in a row: three of them are a black hole
    /// (docs/protocol, section 11). Trains that a probe timeout passed over without any report count as vanished.
    #[must_use]
    pub fn lost_trains_in_a_row(&self) -> u32 {
        self.trains.vanished(self.silence.overdue())
    }

    /// The longest train that leaves `late`.
    fn train_bytes(&self, late: Duration) -> u64 {
        let (rate, rtt) = (self.pacing_rate(), self.model.min_rtt());
        train_bytes(rate, rtt, late, self.extra(), self.datagram)
    }

    /// What the path takes in a train beyond what the rate carries. A rate that something else than the path sets holds
    /// within trains, too.
    fn extra(&self) -> u64 {
        let capped = self.pacing_rate() < self.model.pacing_rate();
        if capped { 0 } else { on_a_short_path(self.model.min_rtt()) }
    }

    fn window_left(&self) -> u64 {
        self.window().saturating_sub(self.delivery.in_flight)
    }

    /// The window has room for a datagram; on a short path for a train, or for a quarter of itself: there what is less
    /// waits for the next report, else each report would be answered by a train as small as what it tells (Linux has
    /// tcp_tso_should_defer for that).
    fn window_is_open(&self) -> bool {
        let train = self.train_bytes(Duration::ZERO);
        let least = if self.model.reports_often() { train } else { self.extra().min(train) };
        let least = least.min(self.window() / 4);
        self.window_left() >= least.max(self.datagram as u64)
    }

    /// The client was heard: silence is over.
    fn hear(&mut self, now: Instant) {
        if self.silence.stopped() {
            self.model.on_resume();
        }
        self.probe = false;
        self.silence.on_report(now, self.rtt.probe_timeout(), self.delivery.in_flight > 0);
    }

    /// What is in flight is given up without a verdict.
    fn abandon(&mut self, now: Instant) {
        self.trains.settle_all();
        self.missing.clear();
        self.delivery.in_flight = 0;
        self.next_unreported = self.next_sequence;
        self.reported_below = self.next_sequence;
        self.silence = Silence::default();
        self.pacer = Pacer::new(now);
        self.probe = false;
    }

    fn reorder_window(&self) -> Duration {
        let quarter = (self.model.min_rtt() / 4).max(REORDER_MIN);
        (quarter * (1 << self.reorder_shift)).min(self.rtt.smoothed().max(REORDER_MIN))
    }
}

#[cfg(test)]
mod tests;
