//! What a run is, known before it begins, and how it ended.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a run is: whoever starts it says so.
#[derive(Clone, Debug)]
pub struct About {
    /// The command line.
    pub command: Vec<String>,
    /// The seed of all that is random.
    pub seed: u64,
    /// The plan, as it can be run again.
    pub plan: Value,
    /// SHA-256 of the plan, hexadecimal: plans with one hash are one.
    pub plan_sha256: String,
    /// Its phases, in order.
    pub phases: Vec<PhaseAbout>,
    /// Threads that record.
    pub threads: usize,
    /// The servers.
    pub servers: Vec<SocketAddr>,
    /// Offloads that the generator's sockets use, in words.
    pub offloads: String,
    /// When it began.
    pub started: SystemTime,
    /// The longest wait for the last segments when no load is offered any more.
    pub patience: Duration,
    /// Longest send lag, at its highest percentile that can be told, with which the run is the server's.
    pub lag_limit: Duration,
}

/// One phase of a plan.
#[derive(Clone, Debug)]
pub struct PhaseAbout {
    /// Its name, for objectives and reports.
    pub name: String,
    /// How long load is offered in it.
    pub duration: Duration,
}

impl About {
    /// How long load is to be offered, in all.
    #[must_use]
    pub fn requested(&self) -> Duration {
        self.phases.iter().map(|phase| phase.duration).sum()
    }
}

/// Which run this was, and how to do it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name and version of the program.
    pub tool: String,
    /// The command line.
    pub command: Vec<String>,
    /// The seed of all that was random.
    pub seed: u64,
    /// When it began, seconds since 1970.
    pub started_unix_s: u64,
    /// The plan, as it can be run again.
    pub plan: Value,
    /// SHA-256 of the plan with all its requests, hexadecimal: plans with one hash are one.
    pub plan_sha256: String,
}

impl From<&About> for Identity {
    fn from(about: &About) -> Self {
        let started = about.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            tool: concat!("segcast ", env!("CARGO_PKG_VERSION")).to_owned(),
            command: about.command.clone(),
            seed: about.seed,
            started_unix_s: started.as_secs(),
            plan: about.plan.clone(),
            plan_sha256: about.plan_sha256.clone(),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// The plan was carried out.
    Complete,
    /// It was not; what was measured until then is here.
    Partial {
        /// Why not.
        why: String,
    },
}

/// How a run ended: whoever ran it says so.
#[derive(Clone, Debug)]
pub struct End {
    /// How long it was by the clock, with the wait for the last segments.
    pub wall: Duration,
    /// Whether all of the plan was carried out.
    pub extent: Extent,
}
