//! The link emulator: two network namespaces, a TAP device in each, and a relay between them that
//! behaves like a link of given rate, delay, queue, loss, bursts, doubling and reordering.
//!
//! Every figure of congestion control is measured over it. Namespaces and devices end with the
//! `Link`, or with the process: nothing of them is ever seen outside.

mod end;
mod flow;
mod occupancy;
mod pipe;
mod relay;
mod wire;

use std::io;

pub use end::End;
pub use flow::Flow;
pub use pipe::{DirectionConfig, Pipe, Statistics};
use relay::Relay;
pub use wire::{Loss, Wire};

/// Parameters of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkConfig {
    /// From left to right.
    pub to_right: DirectionConfig,
    /// From right to left.
    pub to_left: DirectionConfig,
    /// Largest IP packet in bytes, at least 1280 (IPv6's least).
    pub mtu: u16,
    /// Everything random on the link comes from it.
    pub seed: u64,
}

impl LinkConfig {
    /// The same in both directions, with 1500-byte packets.
    #[must_use]
    pub fn symmetric(direction: DirectionConfig, seed: u64) -> Self {
        LinkConfig { to_right: direction, to_left: direction, mtu: 1500, seed }
    }
}

/// A running link. Addresses: left 10.77.0.1 and fd77::1, right 10.77.0.2 and fd77::2.
#[derive(Debug)]
pub struct Link {
    /// One end.
    pub left: End,
    /// The other end.
    pub right: End,
    relay: Relay,
}

impl Link {
    /// Makes the namespaces, devices, addresses and neighbours, and starts the relay.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN and CAP_NET_ADMIN; what `ip` says when it fails.
    pub fn new(config: LinkConfig) -> io::Result<Self> {
        let (left, left_tap) = End::new(1, 2, config.mtu)?;
        let (right, right_tap) = End::new(2, 1, config.mtu)?;
        let relay = Relay::start([left_tap, right_tap], &config)?;
        Ok(Link { left, right, relay })
    }

    /// What happened from left to right since the last call.
    pub fn take_statistics_to_right(&self) -> Statistics {
        self.relay.take_statistics(0)
    }

    /// What happened from right to left since the last call.
    pub fn take_statistics_to_left(&self) -> Statistics {
        self.relay.take_statistics(1)
    }

    /// How late the relay was, and whether frames were lost where the configuration lost none.
    ///
    /// # Errors
    /// When the counters of a device cannot be read.
    pub fn health(&self) -> io::Result<Health> {
        let mut health = self.relay.health();
        health.dropped += self.left.frames_not_read()? + self.right.frames_not_read()?;
        Ok(health)
    }
}

/// How well the emulator itself kept up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Frames lost because the relay read or wrote too slowly: 0 in a sound run.
    pub dropped: u64,
    /// Frames delivered later than 0.1 ms after their time, of a million.
    pub late_per_million: u64,
    /// The latest delivery, microseconds after its time.
    pub latest_micros: u64,
}
