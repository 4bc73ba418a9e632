//! Where a run reports to: adds up, shows, logs, and looks at the server where phases meet.

use std::io;

use crate::collector::{ClosedSecond, Collector};
use crate::others::Watch;
use crate::record::Interval;
use crate::report::Hlog;
use crate::result::{Clock, End, LoadResult};
use crate::run::Observer;
use crate::server::Sampler;
use crate::slo::Slo;
use crate::view::{Display, Snapshot};

/// Takes in what threads record. Views and logs get each second when all threads are past it; the result is the same
/// with and without them.
pub struct Recorder {
    collector: Collector,
    clock: Clock,
    display: Display,
    hlog: Option<Hlog>,
    server: Option<Sampler>,
    others: Option<Watch>,
    /// The latest phase of which something was heard.
    phase: usize,
}

impl Recorder {
    /// Adds up into `collector`, shows on `display`.
    #[must_use]
    pub fn new(collector: Collector, clock: Clock, display: Display) -> Self {
        Self { collector, clock, display, hlog: None, server: None, others: None, phase: 0 }
    }

    /// Writes every second's histograms to `hlog` too.
    #[must_use]
    pub fn with_hlog(self, hlog: Option<Hlog>) -> Self {
        Self { hlog, ..self }
    }

    /// Looks at the server too.
    #[must_use]
    pub fn with_server(self, server: Option<Sampler>) -> Self {
        Self { server, ..self }
    }

    /// Looks at what other programs take, too.
    #[must_use]
    pub fn with_others(self, others: Option<Watch>) -> Self {
        Self { others, ..self }
    }

    /// Takes an interval in.
    pub fn add(&mut self, interval: &Interval) {
        self.look_at_server(interval.phase);
        self.collector.add(interval);
        while let Some(second) = self.collector.next_closed() {
            self.tell(second);
        }
    }

    fn look_at_server(&mut self, phase: usize) {
        let bytes = self.collector.data_bytes();
        let (from, to) = (self.phase + 1, phase.min(self.collector.about().phases.len() - 1));
        for phase in from..=to {
            self.phase = phase;
            if let Some(server) = &mut self.server {
                server.sample(&self.collector.about().phases[phase].name, bytes);
            }
        }
    }

    fn tell(&mut self, second: ClosedSecond) {
        if let Some(hlog) = &mut self.hlog {
            hlog.write(&second);
        }
        self.display.show(Snapshot::new(&self.collector, &second));
        self.collector.recycle(second);
    }

    /// Ends views and logs and gives the result; besides, what became of the interval log.
    pub fn finish(mut self, end: &End, slos: &[Slo]) -> (LoadResult, io::Result<()>) {
        while let Some(second) = self.collector.next_open() {
            self.tell(second);
        }
        self.display.end();
        let bytes = self.collector.data_bytes();
        let server = self.server.map(|server| server.finish(bytes));
        let others = self.others.and_then(Watch::finish);
        let logged = self.hlog.map_or(Ok(()), Hlog::finish);
        (self.collector.finish(end, slos, self.clock, server, others), logged)
    }
}

impl Observer for Recorder {
    fn interval(&mut self, interval: &Interval) {
        self.add(interval);
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("phase", &self.phase).finish_non_exhaustive()
    }
}
