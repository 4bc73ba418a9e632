//! The demo's measurement: the load generator's closed loop. Counted is what happens between two phases in which sessions
//! come and go.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use segcast_client::access::{Access, EdgeAddress};
use segcast_client::fetch::{Quantiles, Times};
use segcast_load::plan::{Phase, PhaseKind, Plan, PlanError, Target, Title, Workload};
use segcast_load::record::{Interval, Ledger, Timings, Wire};
use segcast_load::result;
use segcast_load::run::{self, Observer, Ran, RunConfig, Subject};
use segcast_load::server::{ProcessSpan, Sampler, ServerTarget};
use segcast_proto::ids::SetHandle;
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::wire::code::Code;
use segcast_sysio::probe::IoKind;

use super::edge_process::EdgeProcess;

/// For all sessions to open and to get up to speed.
const OPENING: Duration = Duration::from_millis(500);
/// Longer than a segment takes: what is measured must not end in waiting for the last ones.
const CLOSING: Duration = Duration::from_millis(100);
/// Which of the plan's phases is measured.
const MEASURED: usize = 1;
/// A segment that takes longer is lost.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is measured.
pub(super) struct Measurement<'a> {
    pub(super) edge: EdgeAddress,
    pub(super) access: Access,
    pub(super) manifest: Manifest,
    pub(super) sessions: u16,
    pub(super) duration: Duration,
    pub(super) io: Option<IoKind>,
    pub(super) stop: &'a AtomicBool,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) ran: Ran,
    /// What the edge's process used, over all phases.
    pub(super) edge: ProcessSpan,
    sums: Sums,
}

/// What all threads recorded.
#[derive(Default)]
struct Sums {
    /// Over all phases.
    ledger: Ledger,
    bytes: u64,
    /// In the measured phase.
    times: Timings,
    wire: Wire,
    complete: u64,
    time: Duration,
}

impl Observer for Sums {
    fn interval(&mut self, interval: &Interval) {
        self.ledger.add(&interval.ledger);
        self.bytes += interval.wire.data_bytes;
        if interval.phase == MEASURED {
            self.times.add(&interval.times);
            self.wire += interval.wire;
            self.complete += interval.ledger.complete;
            // One thread drives all sessions.
            self.time += interval.health.wall;
        }
    }
}

impl Measurement<'_> {
    /// Loads the edge. What a signal ended is no measurement: see [`Ran::stopped`].
    pub(super) fn run(&self, edge: &EdgeProcess) -> anyhow::Result<Measured> {
        let plan = self.plan()?;
        let (manifests, access) =
            (std::slice::from_ref(&self.manifest), std::slice::from_ref(&self.access));
        let subject = Subject { edge: self.edge, manifests, access };
        let config = RunConfig { io: self.io, sessions_per_socket: 1, ..RunConfig::default() };
        let mut sums = Sums::default();
        let target = ServerTarget { pid: Some(edge.id()), metrics_url: None };
        let sampler = Sampler::new(target, "all")?;
        let ran = run::run(&plan, &subject, &config, &mut sums, self.stop)?;
        let server = sampler.finish(sums.bytes);
        if !ran.stopped {
            check(&sums.ledger)?;
        }
        let edge = server.spans.into_iter().find_map(|span| span.process);
        let edge = edge.ok_or_else(|| anyhow::anyhow!("the edge's process has gone"))?;
        Ok(Measured { ran, edge, sums })
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let target = Target::Sessions(self.sessions.into());
        let phase = |duration| Phase { kind: PhaseKind::Steady, duration, target };
        let phases = [OPENING, self.duration, CLOSING].map(phase).to_vec();
        // One segment at a time: times then hold no waiting behind a session's own requests.
        let workload = Workload::at_full_speed(phases, self.sessions.into(), TIMEOUT);
        Plan::new(workload, vec![Title::of(SetHandle::FIRST, self.manifest.root())])
    }
}

/// An edge may put a segment off; nothing else may have come between it and its client.
fn check(ledger: &Ledger) -> anyhow::Result<()> {
    let mut bad = Ledger { complete: 0, ..ledger.clone() };
    bad.refused.remove(&Code::Overloaded);
    let ends = result::Ledger::from(&bad).rows().into_iter().map(|(end, cause, count)| {
        let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        format!("{count} {end}{cause}")
    });
    let ends: Vec<String> = ends.collect();
    anyhow::ensure!(ends.is_empty(), "of {} segments, {}", ledger.intended, ends.join(", "));
    anyhow::ensure!(ledger.complete > 0, "not one segment came");
    Ok(())
}

impl Measured {
    pub(super) fn seconds(&self) -> f64 {
        self.sums.time.as_secs_f64()
    }

    /// Bytes of segments, once each.
    pub(super) fn goodput_bits_per_second(&self) -> f64 {
        self.sums.wire.data_bytes as f64 * 8.0 / self.seconds()
    }

    pub(super) fn segments_per_second(&self) -> f64 {
        self.sums.complete as f64 / self.seconds()
    }

    /// From a request to the first byte of its segment.
    pub(super) fn first_byte(&self) -> Quantiles {
        let Timings { start, next, .. } = &self.sums.times;
        both(&start.ttfb.service, &next.ttfb.service)
    }

    /// From a request to the last byte of its segment.
    pub(super) fn segment_time(&self) -> Quantiles {
        let Timings { start, next, .. } = &self.sums.times;
        both(&start.ttlb.service, &next.ttlb.service)
    }

    /// Bytes asked for again, of all bytes of data.
    pub(super) fn retransmitted_share(&self) -> f64 {
        self.sums.wire.repair_bytes as f64 / self.sums.wire.data_bytes.max(1) as f64
    }

    /// The largest, bytes of UDP payload.
    pub(super) fn datagram_bytes(&self) -> usize {
        self.sums.wire.datagram_bytes.0
    }
}

fn both(start: &Times, next: &Times) -> Quantiles {
    let mut times = start.clone();
    times.add(next);
    times.quantiles()
}

#[cfg(test)]
mod tests {
    use segcast_load::record::{Failure, Unoffered};

    use super::*;

    #[test]
    fn only_what_was_put_off_may_be_missing() {
        let mut ledger = Ledger { intended: 100, complete: 97, ..Ledger::default() };
        ledger.refused.insert(Code::Overloaded, 3);
        assert!(check(&ledger).is_ok());
        ledger.failed.insert(Failure::WrongBytes, 1);
        ledger.refused.insert(Code::Draining, 2);
        ledger.never_offered.insert(Unoffered::NoSession, 1);
        let said = check(&ledger).unwrap_err().to_string();
        for end in ["of 100 segments", "1 failed (wrong bytes)", "2 refused (DRAINING)", "not open"]
        {
            assert!(said.contains(end), "{said}");
        }
        assert!(check(&Ledger::default()).is_err(), "nothing came");
    }
}
