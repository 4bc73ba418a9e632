//! Who started the edge, and wants to know how it goes: systemd, by way of the command line.

use std::time::Duration;

use super::Server;
use crate::config::LogLevel;

/// Told of the stages of a server's life, on the thread that runs it.
pub trait Supervisor {
    /// Every shard serves; also after a reload.
    fn ready(&self, server: &Server) {
        let _ = server;
    }

    /// The configuration is being read again.
    fn reloading(&self) {}

    /// How the last reload went, in words.
    fn status(&self, status: &str) {
        let _ = status;
    }

    /// A drain has begun; the process ends `within` this time, if all goes well.
    fn stopping(&self, within: Duration) {
        let _ = within;
    }

    /// The level of the log shall change.
    fn log_level(&self, level: LogLevel) {
        let _ = level;
    }
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Supervisor for Alone {}
