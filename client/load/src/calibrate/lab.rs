//! Where checks run their trials: a responder, the generator, and what all trials together must be like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use segcast_proto::limits::{DATAGRAM_BASE, DATAGRAM_MAX};
use segcast_proto::segment::geometry::{DEFAULT_SEGMENT, UNIT};
use segcast_proto::time::Duration;
use segcast_sysio::cpu;
use segcast_sysio::probe::{self, IoKind};

use super::generator::{self, Measured, Trial};
use super::responder::{Behaviour, Deeds, Responder};
use super::title::Title;
use super::{CalibrateConfig, CalibrateError, FREEZE_PERIOD, FREEZE_PERIOD_QUICK};
use crate::plan::Plan;
use crate::record::Ledger;
use crate::result::Little;

/// Segments of the title with the smallest ones: enough that a session seldom wants one that it is fetching already.
const SMALL_SEGMENTS: u32 = 512;
/// Segments of the title with those of the default size.
const FULL_SEGMENTS: u32 = 64;

/// A generator that worked for this part of the time was busy all the time.
pub(super) const BUSY: f64 = 0.9;

/// A trial that has run, for the checks of all of them.
pub(super) struct Ran {
    pub(super) name: String,
    pub(super) planned: Duration,
    /// How long it took, with the time for the last segments to come.
    pub(super) seconds: f64,
    pub(super) ledger: Ledger,
    /// Little's law; none where the generator was busy all the time: who looks at it gets a core only when it pauses, and
    /// what it sees then is no sample.
    pub(super) little: Option<Little>,
    /// The plan's own longest time for one segment.
    pub(super) timeout: Duration,
}

/// The lab.
pub(super) struct Lab<'a> {
    pub(super) config: &'a CalibrateConfig,
    io: IoKind,
    /// For the responder.
    core: Option<usize>,
    small: Arc<Title>,
    full: Option<Arc<Title>>,
    pub(super) ran: Vec<Ran>,
    stop: &'a AtomicBool,
}

impl<'a> Lab<'a> {
    /// A lab with one title.
    pub(super) fn new(
        config: &'a CalibrateConfig,
        stop: &'a AtomicBool,
    ) -> Result<Self, CalibrateError> {
        let (io, _) = probe::choose(config.io)?;
        let cores = cpu::allowed_cores()?;
        let core = cores.last().copied().filter(|_| cores.len() > 1);
        let small = Arc::new(Title::new(config.seed, SMALL_SEGMENTS, UNIT));
        Ok(Self { config, io, core, small, full: None, ran: Vec::new(), stop })
    }

    /// The driver of both ends.
    pub(super) fn io(&self) -> IoKind {
        self.io
    }

    /// Segments of 72 KiB, 64 datagrams of 1200 bytes each.
    pub(super) fn small(&self) -> Arc<Title> {
        Arc::clone(&self.small)
    }

    /// Segments of about 1 MiB.
    pub(super) fn full(&mut self) -> Arc<Title> {
        let seed = self.config.seed;
        let make = || Arc::new(Title::new(seed, FULL_SEGMENTS, DEFAULT_SEGMENT));
        Arc::clone(self.full.get_or_insert_with(make))
    }

    /// How often the responder pauses.
    pub(super) fn freeze_period(&self) -> Duration {
        let usual = if self.config.quick { FREEZE_PERIOD_QUICK } else { FREEZE_PERIOD };
        self.config.freeze_period.unwrap_or(usual)
    }

    /// `quick` in a quick calibration.
    pub(super) fn pick<T>(&self, usual: T, quick: T) -> T {
        if self.config.quick { quick } else { usual }
    }

    /// A responder without any fault that sends datagrams of one size, so that every count is one of datagrams.
    pub(super) fn plain(&self) -> Behaviour {
        Behaviour {
            io: self.io,
            gso: true,
            datagram_max: DATAGRAM_BASE,
            rate: None,
            faults: None,
            freeze: None,
            mute: false,
            lies: self.config.lies,
            core: self.core,
        }
    }

    /// One that is as fast as it can be.
    pub(super) fn fast(&self) -> Behaviour {
        Behaviour { datagram_max: DATAGRAM_MAX, ..self.plain() }
    }

    /// Runs `plan` against a responder.
    pub(super) fn trial(
        &mut self,
        name: &str,
        title: &Arc<Title>,
        how: (Behaviour, bool),
        plan: &Plan,
    ) -> Result<(Measured, Deeds), CalibrateError> {
        let (mut all, deeds) = self.trials(name, title, how, std::slice::from_ref(plan))?;
        Ok((all.pop().expect("as many as plans"), deeds))
    }

    /// Runs all `plans` at once, each by a generator of its own, against one responder.
    pub(super) fn trials(
        &mut self,
        name: &str,
        title: &Arc<Title>,
        (behaviour, gro): (Behaviour, bool),
        plans: &[Plan],
    ) -> Result<(Vec<Measured>, Deeds), CalibrateError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(CalibrateError::Stopped);
        }
        let responder = Responder::start(Arc::clone(title), behaviour)?;
        let (address, io, late, stop) = (responder.address(), self.io, self.config.late, self.stop);
        let all = std::thread::scope(|scope| {
            let run = |plan| {
                let trial = Trial { title, address, plan, io, gro, late };
                scope.spawn(move || generator::run(&trial, stop))
            };
            let threads: Vec<_> = plans.iter().map(run).collect();
            let join = |thread: ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Result<Vec<Measured>, _>>()
        })?;
        if self.stop.load(Ordering::Relaxed) {
            return Err(CalibrateError::Stopped);
        }
        let deeds = responder.end()?;
        for (plan, measured) in plans.iter().zip(&all) {
            let (total, seconds) = (&measured.total, measured.seconds);
            let little = Little::new(&total.health, &total.times, seconds);
            let busy = total.health.cpu.as_secs_f64() >= BUSY * total.health.wall.as_secs_f64();
            self.ran.push(Ran {
                name: name.to_owned(),
                planned: plan.end,
                seconds,
                ledger: total.ledger.clone(),
                little: little.filter(|_| !busy),
                timeout: plan.workload.timeout,
            });
        }
        Ok((all, deeds))
    }
}
