//! The path model: a rate-based controller after BBRv3 (draft-ietf-ccwg-bbr), for trains and sparse reports.
//!
//! It keeps an estimate of the path's rate and round trip, bounds of both that losses and ECN marks set, and
//! walks through phases that measure them: [`startup`], [`probe_bw`], [`probe_rtt`]; [`loss_bound`] holds
//! what congestion says. Out come two figures: the pacing rate, and how much may be in flight.

mod aggregation;
mod loss_bound;
mod own_loss;
mod params;
mod probe_bw;
mod probe_rtt;
mod startup;

use aggregation::Aggregation;
use loss_bound::LossBound;
use own_loss::OwnLoss;
use params::{INITIAL_WINDOW, MIN_WINDOW, PACING_MARGIN, scale};
use probe_bw::Cycle;
use probe_rtt::MinRtt;
use startup::FullPipe;

use super::filters::MaxRate;
use super::rate_sample::{RateSample, SlowData};
use super::train_size::{on_a_short_path, train_bytes};
use crate::limits::{REPORT_DATA_MAX, REPORT_DELAY_MAX, REPORT_DELAY_MIN};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// What the sender is doing to learn about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Doubling each round trip until the path is full.
    Startup,
    /// Letting go the queue that startup left.
    Drain,
    /// Probing: sending slower than the path, to leave room.
    Down,
    /// Probing: at the estimated rate.
    Cruise,
    /// Probing: filling the pipe before going up.
    Refill,
    /// Probing: faster than the estimate, to find more.
    Up,
    /// Half the window for a moment, so that the queue shows the true round trip.
    ProbeRtt,
}

impl Phase {
    fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }
}

/// One report, as the model sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) now: Instant,
    pub(super) sample: RateSample,
    pub(super) rtt: Option<Duration>,
    pub(super) newly_delivered: u64,
    pub(super) newly_lost: u64,
    /// What of both had been sent slowly.
    pub(super) slow: SlowData,
    /// Separate holes that were lost.
    pub(super) lost_ranges: u32,
    /// The client counted new ECN CE marks.
    pub(super) marked: bool,
    /// Bytes in flight after the report.
    pub(super) in_flight: u64,
}

/// A train of which something was lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostTrain {
    /// Bytes of it that were just declared lost.
    pub(super) bytes: u64,
    /// Bytes lost since it was sent, these included.
    pub(super) lost_since: u64,
    /// Bytes in flight when it was sent.
    pub(super) in_flight: u64,
    pub(super) app_limited: bool,
}

/// The model of one path.
#[derive(Debug)]
pub(super) struct Model {
    phase: Phase,
    datagram: u64,
    max_rate: MaxRate,
    min_rtt: MinRtt,
    round: Round,
    full: FullPipe,
    bound: LossBound,
    own_loss: OwnLoss,
    cycle: Cycle,
    aggregation: Aggregation,
    /// What a report delivers, on average of the last ones.
    report_bytes: u64,
    reports_often: bool,
    window: u64,
    /// The window before probing the round trip.
    window_before: u64,
    pacing_rate: Rate,
    /// The window held the sender back in this round.
    window_limited: bool,
    /// All bytes delivered so far: the clock of rounds.
    delivered: u64,
}

/// Counts round trips: one ends when data sent after its start is delivered.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    ends_at_delivered: u64,
    /// The report at hand ended a round.
    started: bool,
}

impl Round {
    fn on_report(&mut self, prior_delivered: u64, delivered: u64) {
        self.started = prior_delivered >= self.ends_at_delivered;
        if self.started {
            self.ends_at_delivered = delivered;
        }
    }
}

impl Model {
    pub(super) fn new(now: Instant, initial_rtt: Duration, datagram: usize, seed: u64) -> Self {
        let datagram = datagram as u64;
        let window = INITIAL_WINDOW * datagram;
        Self {
            phase: Phase::Startup,
            datagram,
            max_rate: MaxRate::default(),
            min_rtt: MinRtt::new(now, initial_rtt),
            round: Round::default(),
            full: FullPipe::default(),
            bound: LossBound::default(),
            own_loss: OwnLoss::default(),
            cycle: Cycle::new(now, seed),
            aggregation: Aggregation::default(),
            report_bytes: u64::from(REPORT_DATA_MAX) * datagram,
            reports_often: false,
            window,
            window_before: window,
            pacing_rate: Rate::of(window, initial_rtt).unwrap_or(Rate::MAX),
            window_limited: false,
            delivered: 0,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// At which to send.
    pub(super) fn pacing_rate(&self) -> Rate {
        self.pacing_rate
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    pub(super) fn min_rtt(&self) -> Duration {
        self.min_rtt.get()
    }

    /// The estimated rate of the path, bounded by congestion; [`Rate::ZERO`] before the first sample.
    pub(super) fn rate(&self) -> Rate {
        self.max_rate.get().min(self.bound.rate_low)
    }

    pub(super) fn set_datagram(&mut self, datagram: usize) {
        self.datagram = datagram as u64;
        self.window = self.window.max(self.floor());
    }

    /// The window kept the sender from sending a whole train.
    pub(super) fn on_window_limited(&mut self) {
        self.window_limited = true;
    }

    /// Reports came again after sending had stopped: begin with a small window.
    pub(super) fn on_resume(&mut self) {
        self.window = self.window.min(INITIAL_WINDOW * self.datagram);
    }

    /// Data that leaves now is sent slower than the path was found to carry.
    pub(super) fn is_slow(&self) -> bool {
        self.pacing_rate < self.max_rate.get().scaled(params::SLOW)
    }

    /// Takes in what a train lost tells: called before [`Self::on_report`].
    pub(super) fn on_lost(&mut self, now: Instant, lost: LostTrain) {
        self.probe_found_loss(now, lost);
    }

    /// Takes in a report; `delivered` is the count of all bytes delivered so far.
    pub(super) fn on_report(&mut self, report: &Report, delivered: u64) {
        self.delivered = delivered;
        if let Some(rtt) = report.rtt {
            self.own_loss.on_rtt(rtt, self.min_rtt.get());
        }
        self.own_loss.on_slow_data(report.slow, self.datagram);
        if report.newly_delivered > 0 {
            self.round.on_report(report.sample.prior_delivered, delivered);
            let (rate, started) = (self.max_rate.get(), self.round.started);
            self.aggregation.on_report(report.now, report.newly_delivered, rate, started);
            self.report_bytes = (self.report_bytes * 7 + report.newly_delivered) / 8;
            self.reports_often = self.report_bytes * 2 < self.planned();
            self.update_max_rate(&report.sample);
            self.update_bounds(report);
            self.update_full_pipe(report);
            self.update_cycle(report);
        } else {
            self.round.started = false;
            self.bound.note(report);
        }
        if self.update_probe_rtt(report) {
            self.start_pacing();
        }
        self.set_pacing_rate();
        self.set_window(report);
        if self.round.started {
            self.window_limited = false;
        }
    }

    /// After startup one sample in each round counts: the maximum of many would follow the noise of report times, and a
    /// rate a few percent too high is a standing queue.
    fn update_max_rate(&mut self, sample: &RateSample) {
        let counts = self.round.started || self.phase == Phase::Startup;
        if counts
            && let Some(rate) = sample.rate
            && (!sample.app_limited || rate >= self.max_rate.get())
        {
            self.max_rate.update(rate);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// The bandwidth-delay product, bytes.
    fn bdp(&self) -> u64 {
        let rate = self.rate();
        if rate == Rate::ZERO {
            return INITIAL_WINDOW * self.datagram;
        }
        rate.bytes_in(self.min_rtt.get())
    }

    /// What must be in flight to keep `gain` × the bandwidth-delay product on the path: reports are sparse, so
    /// up to one report interval of data is delivered but not yet reported, and data leaves in whole trains.
    fn target(&self, gain: f64) -> u64 {
        (scale(self.bdp(), gain) + self.unreported() + self.train()).max(self.floor())
    }

    /// Data that arrives between two reports, or what bursts of reports show, if more: at most the longest interval's
    /// worth, whatever the client does.
    fn unreported(&self) -> u64 {
        let planned = if self.reports_often { 0 } else { self.planned() };
        let most = self.rate().bytes_in(REPORT_DELAY_MAX);
        self.aggregation.get().min(most).max(planned)
    }

    /// Data that arrives between two reports, as docs/protocol, section 10, has them.
    fn planned(&self) -> u64 {
        let interval = (self.min_rtt.get() / 4).clamp(REPORT_DELAY_MIN, REPORT_DELAY_MAX);
        let enough = u64::from(REPORT_DATA_MAX) * self.datagram;
        self.rate().bytes_in(interval).min(enough)
    }

    /// The client reports at least twice as often as it should. Single datagrams that answer its reports, where the window
    /// is full, would find room in queues that the trains of others do not find.
    pub(super) fn reports_often(&self) -> bool {
        self.reports_often
    }

    fn train(&self) -> u64 {
        let rtt = self.min_rtt.get();
        let extra = on_a_short_path(rtt);
        train_bytes(self.pacing_rate, rtt, Duration::ZERO, extra, self.datagram as usize)
    }

    fn floor(&self) -> u64 {
        MIN_WINDOW * self.datagram
    }

    fn pacing_gain(&self) -> f64 {
        match self.phase {
            Phase::Startup => params::STARTUP_GAIN,
            Phase::Drain => params::DRAIN_GAIN,
            Phase::Down => params::DOWN_GAIN,
            Phase::Up => self.up_gain(),
            Phase::Cruise | Phase::Refill | Phase::ProbeRtt => 1.0,
        }
    }

    fn up_gain(&self) -> f64 {
        let datagrams = (self.bdp() as f64 / self.datagram as f64).max(1.0);
        let (least, most) = params::UP_GAIN_RANGE;
        1.0 + (params::UP_GAIN / datagrams.sqrt()).clamp(least, most)
    }

    fn window_gain(&self) -> f64 {
        match self.phase {
            Phase::Up => params::UP_WINDOW_GAIN,
            Phase::ProbeRtt => params::PROBE_RTT_WINDOW_GAIN,
            _ => params::WINDOW_GAIN,
        }
    }

    /// The round trip is known for the first time: one that was assumed longer must not stretch the first window over
    /// its length.
    fn start_pacing(&mut self) {
        let first = Rate::of(INITIAL_WINDOW * self.datagram, self.min_rtt.get());
        if self.phase == Phase::Startup {
            self.pacing_rate = self.pacing_rate.max(first.unwrap_or_default());
        }
    }

    fn set_pacing_rate(&mut self) {
        let rate = self.rate();
        if rate == Rate::ZERO {
            return;
        }
        let paced = rate.scaled(self.pacing_gain() * PACING_MARGIN);
        if self.full.reached || paced > self.pacing_rate {
            self.pacing_rate = paced.max(Rate::LEAST);
        }
    }

    fn set_window(&mut self, report: &Report) {
        let target = self.target(self.window_gain());
        if self.full.reached {
            self.window = (self.window + report.newly_delivered).min(target);
        } else if self.window < target {
            self.window += report.newly_delivered;
        }
        if self.phase == Phase::ProbeRtt {
            self.window = self.window.min(self.target(params::PROBE_RTT_WINDOW_GAIN));
        }
        let bound = match self.phase {
            Phase::Down | Phase::Refill | Phase::Up => self.bound.high,
            Phase::Cruise | Phase::ProbeRtt => self.with_headroom(),
            Phase::Startup | Phase::Drain => u64::MAX,
        };
        self.window = self.window.min(bound.min(self.bound.low)).max(self.floor());
    }

    /// The upper bound less what is left for others (at least a datagram).
    fn with_headroom(&self) -> u64 {
        if self.bound.high == u64::MAX {
            return u64::MAX;
        }
        let headroom = scale(self.bound.high, params::HEADROOM).max(self.datagram);
        self.bound.high.saturating_sub(headroom).max(self.floor())
    }
}
