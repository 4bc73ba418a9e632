//! Why an edge does not start.

use segcast_config::{ConfigErrors, ExitCode};
use segcast_store::StoreError;
use segcast_sysio::SysError;

use crate::addresses::AddressError;
use crate::keyfiles::KeyError;

/// A start that failed. Nothing is left running or bound.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mistakes in the configuration.
    #[error("{0}")]
    Configuration(#[from] ConfigErrors),
    /// A key is missing or malformed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no address to serve on.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An address cannot be bound, or no driver works.
    #[error("{0}")]
    Network(SysError),
    /// The admin address cannot be bound.
    #[error("admin = \"{address}\": cannot listen there: {reason}")]
    Admin {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The session log cannot be opened.
    #[error("session_log = \"{}\": cannot be opened to append to it: {reason}", path.display())]
    SessionLog {
        /// Its file.
        path: std::path::PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The system gives no thread, core or randomness.
    #[error("{what}: {reason}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// The system's words.
        reason: String,
    },
    /// A shard, or a thread that reads segments in, ended before all served.
    #[error("{thread} does not start: {reason}")]
    Thread {
        /// Which.
        thread: String,
        /// Why.
        reason: String,
    },
}

impl StartError {
    /// The process's exit status for this error.
    #[must_use]
    pub const fn exit(&self) -> ExitCode {
        match self {
            Self::Configuration(_) | Self::SessionLog { .. } => ExitCode::Usage,
            Self::Keys(_) => ExitCode::NotAllowed,
            Self::Store(_) => ExitCode::LocalFile,
            Self::Address(_) | Self::Network(_) | Self::Admin { .. } => ExitCode::Network,
            Self::System { .. } | Self::Thread { .. } => ExitCode::Failure,
        }
    }

    pub(super) fn system(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::System { what, reason: reason.to_string() }
    }
}
