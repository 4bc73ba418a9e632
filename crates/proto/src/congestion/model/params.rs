//! The model's constants. Names and values are those of draft-ietf-ccwg-bbr unless a reason is given.

use crate::time::Duration;

/// Datagrams in flight before the first report (RFC 6928).
pub(super) const INITIAL_WINDOW: u64 = 10;
/// Datagrams that are always allowed in flight (`MinPipeCwnd`).
pub(super) const MIN_WINDOW: u64 = 4;

/// Pacing a little below the estimate keeps standing queues from forming (`PacingMarginPercent` = 1).
pub(super) const PACING_MARGIN: f64 = 0.99;
/// Doubles the rate each round trip: 4 ln 2.
pub(super) const STARTUP_GAIN: f64 = 2.77;
/// Empties in a round trip or two what startup queued.
pub(super) const DRAIN_GAIN: f64 = 0.5;
/// `ProbeBW_DOWN`. The draft's 0.9 leaves the queue of two sessions standing so long that they hardly converge.
pub(super) const DOWN_GAIN: f64 = 0.75;
/// `ProbeBW_UP`: what is added to 1 is this over the root of the bandwidth-delay product in datagrams, within
/// [`UP_GAIN_RANGE`]. So the smaller of two sessions gains more by a probe, and shares even out; with the draft's
/// 1.25 for all they do not within a minute at 40 ms.
pub(super) const UP_GAIN: f64 = 8.0;
/// See [`UP_GAIN`].
pub(super) const UP_GAIN_RANGE: (f64, f64) = (0.25, 0.5);
/// A probe ends after its first round when so many bandwidth-delay products are in flight …
pub(super) const UP_IN_FLIGHT: f64 = 1.4;
/// … and the rate is less than this times what it was before: the probe only queues.
pub(super) const UP_GROWTH: f64 = 1.08;
/// Window, in bandwidth-delay products.
pub(super) const WINDOW_GAIN: f64 = 2.0;
/// Window while probing up.
pub(super) const UP_WINDOW_GAIN: f64 = 2.25;
/// Window while probing the round trip.
pub(super) const PROBE_RTT_WINDOW_GAIN: f64 = 0.5;

/// Losses above this part of what was in flight say that the path is over-full.
pub(super) const LOSS_THRESHOLD: f64 = 0.02;
/// The path's own loss counts as such up to this; what is lost beyond it is congestion wherever it comes from.
pub(super) const OWN_LOSS_MAX: f64 = 0.12;
/// Datagrams that weigh in the estimate of the path's own loss.
pub(super) const OWN_LOSS_WINDOW: u64 = 512;
/// Datagrams without loss that the estimate begins with: few losses at the start prove little.
pub(super) const OWN_LOSS_PRIOR: u64 = 32;
/// A round trip up to so many times the least one met hardly a queue. A buffer of a quarter of a bandwidth-delay
/// product or more is not full then.
pub(super) const UNQUEUED: f64 = 1.25;
/// Losses of a probe that says the path is over-full although no queue is seen: half of what the mildest probe (1.25)
/// must lose then.
pub(super) const UNQUEUED_PROBE_LOSS: f64 = 0.1;
/// The same of startup, which doubles the rate in a round: somewhat less than the mean of what the round that overfills must lose.
pub(super) const UNQUEUED_STARTUP_LOSS: f64 = 0.2;
/// Data paced at less than this part of the estimated rate was sent slower than the path carries.
pub(super) const SLOW: f64 = 0.95;
/// What remains of a bound after a round with losses.
pub(super) const BETA: f64 = 0.7;
/// What remains, as long-term bound, of what was in flight when a probe found loss. The draft keeps all of it; with
/// less, and with the bound's additive rise, sessions converge as they do by AIMD.
pub(super) const BETA_HIGH: f64 = 0.75;
/// What remains after a round with ECN marks but no loss (RFC 8511).
pub(super) const BETA_ECN: f64 = 0.85;
/// The short-term bounds do not fall below what arrived in the round times this: what the threshold tolerates and
/// the pacing margin together. Without it (as in the draft) a path that loses 1 % at random lowers them in every
/// round, down to a third of its rate between two probes.
pub(super) const TOLERANCE: f64 = 1.0 / ((1.0 - LOSS_THRESHOLD) * PACING_MARGIN);
/// Part of the upper bound that is left free for others while cruising.
pub(super) const HEADROOM: f64 = 0.15;

/// Startup ends when the rate grew by less than this for [`FULL_ROUNDS`] round trips.
pub(super) const FULL_GROWTH: f64 = 1.25;
/// See [`FULL_GROWTH`].
pub(super) const FULL_ROUNDS: u32 = 3;
/// Startup also ends in a round that lost more than the threshold in at least so many separate holes.
pub(super) const STARTUP_LOST_RANGES: u32 = 6;

/// Time between two probes for more rate: this, plus up to [`PROBE_WAIT_RANDOM`]. The draft has 2 s and 1 s: more
/// chance keeps sessions that share a path from probing together, which teaches neither of them anything.
pub(super) const PROBE_WAIT: Duration = Duration::from_millis(1000);
/// See [`PROBE_WAIT`].
pub(super) const PROBE_WAIT_RANDOM: Duration = Duration::from_millis(1500);
/// … or as many round trips as a Reno flow of the same window would need to grow by its loss, at most so many.
pub(super) const PROBE_ROUNDS_MAX: u64 = 63;

/// The round trip is probed when its minimum is older than this.
pub(super) const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// How long the window is halved then.
pub(super) const PROBE_RTT_TIME: Duration = Duration::from_millis(200);
/// A minimum is believed for this long.
pub(super) const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);

/// `bytes` times a gain; saturates, so that "no bound" (`u64::MAX`) stays one.
pub(super) fn scale(bytes: u64, gain: f64) -> u64 {
    (bytes as f64 * gain) as u64
}
