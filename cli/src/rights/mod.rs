//! What a customer has on this machine: the login, the device's key, tickets, plays and tokens, in a folder that nobody else
//! can read; and what becomes of a ticket until an edge is asked.
//!
//! `$XDG_DATA_HOME/segcast/` has a folder for each center, named by its id, and the file `current`, which names the one that was logged in to last.

mod account;
mod pending;
mod play;
mod store;

use std::path::PathBuf;

pub(crate) use account::Account;
pub(crate) use pending::{Pending, Settled, fresh_key};
pub(crate) use play::{Play, StoredToken};
use segcast_api::value::Timestamp;
pub(crate) use store::Store;

/// What is wrong with the rights that are kept here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RightsError {
    /// Nobody has logged in.
    #[error("there is no login on this machine")]
    NoLogin,
    /// Neither variable names a place.
    #[error("there is no place for the login: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// A file.
    #[error("{}: cannot {action}: {source}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Others can read or write it.
    #[error("{}: mode {mode:04o} lets others at it; right is {right:04o}", .path.display())]
    Mode {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        right: u32,
    },
    /// Not what was written.
    #[error("{}: is not what segcast writes: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Not signed by this center, or not for this account and title.
    #[error("the answer was not signed by a key of this center, or is for something else: {0}")]
    Forged(String),
    /// The clock was set back.
    #[error("this clock is before the last time that was seen, {0}")]
    ClockBack(Timestamp),
    /// Nothing to play a title with.
    #[error("there is no ticket for {0}")]
    NoTicket(String),
    /// The last play would be spent.
    #[error("this would spend the last play of {0}")]
    LastPlay(String),
}
