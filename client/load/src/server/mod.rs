//! What the server used while load was offered: its process and its own counters, read where phases meet.

/// An edge's metrics page.
pub mod metrics;
mod process;

use std::collections::BTreeMap;
use std::time::Instant;

use metrics::Counters;
pub(crate) use process::Process;
use serde::{Deserialize, Serialize};

/// For a reading of the metrics page, seconds.
const METRICS_TIMEOUT: u64 = 2;
/// The series by which a page says when its process began.
const START_TIME: &str = "process_start_time_seconds";

/// Where the server can be looked at.
#[derive(Clone, Debug, Default)]
pub struct ServerTarget {
    /// Its process, on this box.
    pub pid: Option<u32>,
    /// Its metrics page, by plain HTTP.
    pub metrics_url: Option<String>,
}

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No such process, or one that may not be looked at.
    #[error("--server-pid {pid}: cannot be read in /proc")]
    Process {
        /// Its id.
        pid: u32,
        /// Why.
        source: procfs::ProcError,
    },
    /// No metrics there.
    #[error("--server-metrics: {0}")]
    Metrics(String),
}

/// What the server used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its process.
    pub pid: Option<u32>,
    /// Its metrics page.
    pub metrics_url: Option<String>,
    /// The whole run, then each phase that began. They include the time in which last segments were waited for.
    pub spans: Vec<ServerSpan>,
    /// What could not be read during the run.
    pub problems: Vec<String>,
}

/// What the server used in one phase or in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerSpan {
    /// The phase; `all` for the whole run.
    pub name: String,
    /// How long it was between the two readings, seconds.
    pub seconds: f64,
    /// New bytes of segments that clients received in that time.
    pub data_bytes: u64,
    /// The process; null when it was not asked for or could not be read, or when the server began again in this span.
    pub process: Option<ProcessSpan>,
    /// Counters of the metrics page that rose, and by how much; null when it was not asked for or could not be read, or when the
    /// server began again in this span.
    pub counters: Option<BTreeMap<String, f64>>,
}

impl ServerSpan {
    /// Handshakes and requests that the server refused; none when its page was not read.
    #[must_use]
    pub fn refused(&self) -> Option<u64> {
        const OF_CLIENTS: [&str; 2] = ["_handshakes_refused_total", "_requests_refused_total"];
        let of_name = |series: &str| {
            let name = series.split('{').next().unwrap_or_default();
            OF_CLIENTS.iter().any(|end| name.ends_with(end))
        };
        let counters = self.counters.as_ref()?;
        Some(counters.iter().filter(|(name, _)| of_name(name)).map(|(_, rise)| *rise as u64).sum())
    }
}

/// What the server's process used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProcessSpan {
    /// CPU time of all its threads, seconds.
    pub cpu_s: f64,
    /// CPU seconds per second.
    pub cores: f64,
    /// CPU seconds per 10^9 bits that clients received; null when they received none.
    pub cores_per_gigabit: Option<f64>,
    /// Memory that it occupied at the end, bytes (VmRSS).
    pub rss_bytes: u64,
    /// The most that it ever occupied, bytes (VmHWM).
    pub rss_max_bytes: u64,
    /// Page faults without a disk.
    pub minor_faults: u64,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Its threads at the end.
    pub threads: u64,
}

/// Reads the server where phases meet.
#[derive(Debug)]
pub struct Sampler {
    target: ServerTarget,
    samples: Vec<Sample>,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Sample {
    /// The phase that begins here.
    phase: String,
    at: Instant,
    data_bytes: u64,
    process: Option<Process>,
    counters: Option<Counters>,
    /// How often the server had begun again: counters of two lives have no difference.
    life: u32,
}

impl Sampler {
    /// Takes the first reading: to be made right before load begins, with `phase`.
    ///
    /// # Errors
    /// When the process or the page cannot be read at all.
    pub fn new(target: ServerTarget, phase: &str) -> Result<Self, ServerError> {
        if let Some(pid) = target.pid {
            Process::read(pid).map_err(|source| ServerError::Process { pid, source })?;
        }
        if let Some(url) = &target.metrics_url {
            metrics::fetch(url, METRICS_TIMEOUT).map_err(ServerError::Metrics)?;
        }
        let mut this = Self { target, samples: Vec::new(), problems: Vec::new() };
        this.sample(phase, 0);
        Ok(this)
    }

    /// Takes a reading where `phase` begins; `data_bytes`: new bytes of segments that clients have received so far.
    pub fn sample(&mut self, phase: &str, data_bytes: u64) {
        let process = self.target.pid.and_then(|pid| self.process(pid));
        let counters = self.target.metrics_url.clone().and_then(|url| {
            metrics::fetch(&url, METRICS_TIMEOUT)
                .map_err(|problem| self.problems.push(problem))
                .ok()
        });
        let (phase, at, life) = (phase.to_owned(), Instant::now(), 0);
        self.push(Sample { phase, at, data_bytes, process, counters, life });
    }

    fn push(&mut self, mut sample: Sample) {
        if let Some(before) = self.samples.last() {
            sample.life = before.life;
            if self.began_again(&sample) {
                sample.life += 1;
                let phase = &before.phase;
                self.problems.push(format!(
                    "the server began again during the run, in phase {phase}: of that there are no counters"
                ));
            }
        }
        self.samples.push(sample);
    }

    /// Whether the server is another one than where it was last read: its process has gone, it says that it started at another
    /// time, or a counter has fallen.
    fn began_again(&self, sample: &Sample) -> bool {
        let gone = self.samples.last().is_some_and(|before| before.process.is_some())
            && sample.process.is_none();
        let before = self.samples.iter().rev().find_map(|before| before.counters.as_ref());
        let is_other = |(before, now): (&Counters, &Counters)| {
            now.iter().any(|(name, value)| match before.get(name) {
                Some(old) if name == START_TIME => value != old,
                Some(old) => is_counter(name) && value < old,
                None => false,
            })
        };
        gone || before.zip(sample.counters.as_ref()).is_some_and(is_other)
    }

    fn process(&mut self, pid: u32) -> Option<Process> {
        let process = match Process::read(pid) {
            Ok(process) => process,
            Err(error) => {
                self.problems.push(format!("process {pid}: {error}"));
                return None;
            }
        };
        let before = self.samples.iter().find_map(|sample| sample.process);
        if before.is_some_and(|before| before.started != process.started) {
            self.problems.push(format!("process {pid} is another one than at the beginning"));
            return None;
        }
        Some(process)
    }

    /// Takes the last reading and tells the differences.
    #[must_use]
    pub fn finish(mut self, data_bytes: u64) -> Server {
        self.sample("", data_bytes);
        self.told()
    }

    fn told(self) -> Server {
        let mut spans = Vec::new();
        if let [first, .., last] = self.samples.as_slice() {
            spans.push(between("all", first, last));
        }
        let pairs = self.samples.windows(2);
        spans.extend(pairs.map(|pair| between(&pair[0].phase, &pair[0], &pair[1])));
        Server {
            pid: self.target.pid,
            metrics_url: self.target.metrics_url,
            spans,
            problems: self.problems,
        }
    }
}

fn between(name: &str, from: &Sample, to: &Sample) -> ServerSpan {
    let seconds = to.at.duration_since(from.at).as_secs_f64();
    let data_bytes = to.data_bytes.saturating_sub(from.data_bytes);
    let same = from.life == to.life;
    let process = from.process.zip(to.process).filter(|_| same).map(|(from, to)| {
        let cpu_s = to.cpu_s - from.cpu_s;
        let gigabits = data_bytes as f64 * 8.0 / 1e9;
        ProcessSpan {
            cpu_s,
            cores: if seconds > 0.0 { cpu_s / seconds } else { 0.0 },
            cores_per_gigabit: (gigabits > 0.0).then(|| cpu_s / gigabits),
            rss_bytes: to.rss_bytes,
            rss_max_bytes: to.rss_max_bytes,
            minor_faults: to.minor_faults.saturating_sub(from.minor_faults),
            major_faults: to.major_faults.saturating_sub(from.major_faults),
            threads: to.threads,
        }
    });
    let counters =
        from.counters.as_ref().zip(to.counters.as_ref()).filter(|_| same).map(|(from, to)| {
            let rises = to.iter().map(|(name, value)| {
                (name.clone(), value - from.get(name).copied().unwrap_or_default())
            });
            // Counters only: what may fall as well says nothing by its rise.
            rises.filter(|(name, rise)| is_counter(name) && *rise > 0.0).collect()
        });
    ServerSpan { name: name.to_owned(), seconds, data_bytes, process, counters }
}

fn is_counter(series: &str) -> bool {
    series.split('{').next().is_some_and(|name| name.ends_with("_total"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(phase: &str, at: Instant, data_bytes: u64, cpu_s: f64, refused: f64) -> Sample {
        let process = Process {
            cpu_s,
            rss_bytes: 1 << 20,
            rss_max_bytes: 1 << 21,
            minor_faults: 10 + data_bytes,
            major_faults: 0,
            threads: 3,
            started: 1,
        };
        let counters = [
            ("x_refused_total{code=\"BUSY\"}".to_owned(), refused),
            ("x_sessions".to_owned(), refused),
            ("x_same_total".to_owned(), 5.0),
        ];
        Sample {
            phase: phase.to_owned(),
            at,
            data_bytes,
            process: Some(process),
            counters: Some(counters.into()),
            life: 0,
        }
    }

    /// What is told of readings in which the last phase's server may be a new one.
    fn told(second: &[(&str, f64)], third: &[(&str, f64)], gone: bool) -> Server {
        let mut sampler =
            Sampler { target: ServerTarget::default(), samples: Vec::new(), problems: Vec::new() };
        let first = [(START_TIME, 1000.5), ("x_total", 50.0)];
        let readings = [("ramp", &first[..]), ("steady", second), ("overload", third), ("", third)];
        for (phase, counters) in readings {
            let counters = counters.iter().map(|(name, value)| ((*name).to_owned(), *value));
            let counters: Counters = counters.collect();
            let mut sample = sample(phase, Instant::now(), 0, 1.0, 0.0);
            sample.counters = (!counters.is_empty()).then_some(counters);
            if gone && ["overload", ""].contains(&phase) {
                sample.process = None;
            }
            sampler.push(sample);
        }
        sampler.told()
    }

    #[test]
    fn a_server_that_began_again_has_no_counters_for_that_time() {
        let same = [(START_TIME, 1000.5), ("x_total", 60.0)];
        let fresh = [(START_TIME, 2000.0), ("x_total", 70.0)];
        // By its start, by a counter that fell, after a reading that failed, by its process.
        for (second, third, gone) in [
            (&same[..], &fresh[..], false),
            (&[("x_total", 60.0)], &[("x_total", 20.0)], false),
            (&[], &fresh, false),
            (&same, &same, true),
        ] {
            let server = told(second, third, gone);
            let told: Vec<_> = server.spans.iter().map(|span| span.counters.is_some()).collect();
            // In all, ramp, steady, overload: the new life's own differences are sound.
            assert_eq!(told, [false, !second.is_empty(), false, true], "{server:?}");
            assert!(server.spans[0].process.is_none() && server.spans[2].process.is_none());
            assert_eq!(server.problems.len(), 1, "{server:?}");
            assert!(server.problems[0].contains("began again during the run, in phase steady"));
        }
        let server = told(&same, &same, false);
        assert!(server.problems.is_empty() && server.spans.iter().all(|s| s.counters.is_some()));
    }

    #[test]
    fn differences_are_per_phase_and_in_all() {
        let begun = Instant::now();
        let second = std::time::Duration::from_secs(1);
        let samples = [
            sample("ramp", begun, 0, 1.0, 0.0),
            sample("steady", begun + second, 125_000_000, 1.5, 0.0),
            sample("", begun + second * 3, 375_000_000, 3.5, 7.0),
        ];
        let all = between("all", &samples[0], &samples[2]);
        let process = all.process.expect("it was read");
        assert!((process.cpu_s - 2.5).abs() < 1e-9 && (all.seconds - 3.0).abs() < 1e-9);
        assert!((process.cores_per_gigabit.expect("bytes came") - 2.5 / 3.0).abs() < 1e-9);
        let counters = all.counters.expect("they were read");
        assert_eq!(counters, [("x_refused_total{code=\"BUSY\"}".to_owned(), 7.0)].into());
        let ramp = between("ramp", &samples[0], &samples[1]);
        assert_eq!(ramp.counters, Some(BTreeMap::new()));
        assert_eq!(ramp.data_bytes, 125_000_000);
    }

    #[test]
    fn this_process_is_a_server_and_a_process_that_is_none_is_refused() {
        let target = ServerTarget { pid: Some(std::process::id()), metrics_url: None };
        let mut sampler = Sampler::new(target, "steady").expect("this process can be read");
        sampler.sample("overload", 1000);
        let server = sampler.finish(3000);
        let names: Vec<_> = server.spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["all", "steady", "overload"]);
        assert!(server.spans.iter().all(|span| span.process.is_some() && span.counters.is_none()));
        assert_eq!(server.spans[2].data_bytes, 2000);
        assert!(server.problems.is_empty());
        let nobody = ServerTarget { pid: Some(u32::MAX), metrics_url: None };
        assert!(Sampler::new(nobody, "steady").is_err());
        let nowhere = ServerTarget { pid: None, metrics_url: Some("http://127.0.0.1:1/".into()) };
        assert!(Sampler::new(nowhere, "steady").is_err());
    }
}
