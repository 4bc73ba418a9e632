//! Adds up what threads record: per second, per phase, in all.
//!
//! Memory is bounded by phases and by a few open seconds: a second is told and forgotten when every thread is past it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::Interval;
use crate::result::generator::{Evidence, Generator};
use crate::result::{
    About, Clock, End, Figures, Fingerprint, LoadResult, Measured, Others, Second, Server, Span,
    Sums, share,
};
use crate::slo::Slo;

/// Seconds that may be open at once: a thread that is further behind finds its second told already, and what it
/// recorded counts in the oldest one that is open.
const OPEN_SECONDS_MAX: usize = 8;

/// Adds up intervals.
#[derive(Debug)]
pub struct Collector {
    about: About,
    all: Sums,
    phases: Vec<Sums>,
    open: BTreeMap<u32, Open>,
    spare: Vec<Sums>,
    /// The latest second of each thread.
    latest: BTreeMap<usize, u32>,
    busiest_seconds: Vec<f64>,
    seconds: Vec<Second>,
    /// The phase of the latest second that was told.
    phase: usize,
    /// No second before this one is open any more.
    told_before: u32,
}

#[derive(Debug, Default)]
struct Open {
    sums: Sums,
    phase: usize,
}

/// One second of all threads.
#[derive(Debug)]
pub struct ClosedSecond {
    /// Its figures.
    pub figures: Second,
    /// Its histograms and counts.
    pub(crate) sums: Sums,
}

impl Collector {
    /// For the run that `about` tells.
    #[must_use]
    pub fn new(about: About) -> Self {
        let phases = about.phases.iter().map(|_| Sums::default()).collect();
        Self {
            busiest_seconds: vec![0.0; about.threads],
            about,
            all: Sums::default(),
            phases,
            open: BTreeMap::new(),
            spare: Vec::new(),
            latest: BTreeMap::new(),
            seconds: Vec::new(),
            phase: 0,
            told_before: 0,
        }
    }

    /// What the run is.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Takes an interval in. One of a phase that the plan has not counts in the last one.
    pub fn add(&mut self, interval: &Interval) {
        let draining = self.is_draining(interval.second);
        let phase = interval.phase.min(self.phases.len().saturating_sub(1));
        self.all.add(interval, draining);
        if let Some(sums) = self.phases.get_mut(phase) {
            sums.add(interval, draining);
        }
        if let Some(busiest) = self.busiest_seconds.get_mut(interval.thread) {
            *busiest = busiest.max(share(&interval.health));
        }
        let second = interval.second.max(self.told_before);
        let spare = &mut self.spare;
        let open = self
            .open
            .entry(second)
            .or_insert_with(|| Open { sums: spare.pop().unwrap_or_default(), phase });
        open.sums.add(interval, draining);
        open.phase = open.phase.max(phase);
        let latest = self.latest.entry(interval.thread).or_default();
        *latest = interval.second.max(*latest);
    }

    /// Whether no load is offered in `second` any more.
    fn is_draining(&self, second: u32) -> bool {
        Duration::from_secs(second.into()) >= self.about.requested()
    }

    /// The oldest second that all threads are past, if there is one.
    pub fn next_closed(&mut self) -> Option<ClosedSecond> {
        let (&second, _) = self.open.first_key_value()?;
        let heard_all = self.latest.len() >= self.about.threads;
        let all_past = heard_all && self.latest.values().all(|&latest| latest > second);
        (all_past || self.open.len() > OPEN_SECONDS_MAX).then(|| self.close(second))
    }

    /// The oldest second that is open: for the end of a run, when no thread records any more.
    pub fn next_open(&mut self) -> Option<ClosedSecond> {
        let (&second, _) = self.open.first_key_value()?;
        Some(self.close(second))
    }

    fn close(&mut self, second: u32) -> ClosedSecond {
        let Open { sums, phase } = self.open.remove(&second).unwrap_or_default();
        self.phase = self.phase.max(phase);
        self.told_before = second + 1;
        let figures = Second::new(second, self.phase, &sums);
        self.seconds.push(figures.clone());
        ClosedSecond { figures, sums }
    }

    /// Gives the memory of a second back.
    pub fn recycle(&mut self, second: ClosedSecond) {
        let mut sums = second.sums;
        sums.clear();
        self.spare.push(sums);
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> &Sums {
        &self.all
    }

    /// New bytes of segments so far.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.all.wire.data_bytes
    }

    /// The result. Seconds that are still open are told in it.
    #[must_use]
    pub fn finish(
        mut self,
        end: &End,
        slos: &[Slo],
        clock: Clock,
        server: Option<Server>,
        others: Option<Others>,
    ) -> LoadResult {
        while let Some(second) = self.next_open() {
            self.recycle(second);
        }
        let generator = Generator::new(Evidence {
            about: &self.about,
            end,
            all: &self.all,
            phases: &self.phases,
            busiest_seconds: &self.busiest_seconds,
            clock,
        });
        let names = self.about.phases.iter().map(|phase| phase.name.as_str());
        let phases: Vec<(&str, &Sums)> = names.zip(&self.phases).collect();
        let objectives = slos.iter().map(|slo| slo.judge(&self.all, &phases)).collect();
        let figures = Figures {
            all: Span::new("all", &self.all),
            phases: phases.iter().map(|(name, sums)| Span::new(name, sums)).collect(),
            seconds: self.seconds,
        };
        LoadResult::new(Measured {
            about: &self.about,
            end,
            figures,
            generator,
            objectives,
            server,
            others,
            fingerprint: Fingerprint::take(&self.about),
        })
    }
}
