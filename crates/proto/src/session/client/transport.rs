//! An open session's keys and counters, from one WELCOME to the next.

use std::collections::{BTreeMap, VecDeque};

use super::config::ClientConfig;
use super::gap::TrainGap;
use super::groups::NumberedReport;
use super::reports::Reports;
use super::requests::Requests;
use crate::crypto::{Opener, Sealer};
use crate::handshake::Welcomed;
use crate::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use crate::limits::REQUESTS_MAX;
use crate::time::Instant;

/// The client's replay window, packets (section 4).
const CLIENT_WINDOW: usize = 16_384;
/// Small messages that wait; more are dropped (each is asked for again).
pub(super) const MESSAGES_MAX: usize = 64;

/// A small message to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Message {
    PathResponse([u8; 8]),
    Pulse { handle: SetHandle, object: ObjectNumber },
}

/// What one WELCOME opened.
pub(super) struct Transport {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) server: ReceiverIndex,
    pub(super) requests_max: usize,
    pub(super) reports: Reports,
    pub(super) requests: Requests,
    pub(super) messages: VecDeque<Message>,
    pub(super) pulse_number: u32,
    /// GROUP_REPORTs to be sent, the newest of each set.
    pub(super) group_reports: BTreeMap<SetHandle, NumberedReport>,
    /// When the last authentic packet came.
    pub(super) heard: Instant,
    /// Probe timeouts in a row.
    pub(super) timeouts: u32,
    pub(super) last_timeout: Instant,
    /// Probe timeouts since anything but STATUS came, or a new request was made.
    pub(super) quiet: u32,
    pub(super) gap: TrainGap,
}

impl Transport {
    pub(super) fn new(now: Instant, config: &ClientConfig, welcomed: Welcomed) -> Self {
        let requests_max = usize::from(welcomed.payload.requests_max).clamp(1, REQUESTS_MAX);
        Self {
            sealer: Sealer::new(config.suite, welcomed.to_server, now)
                .with_epoch_packets(config.epoch_packets),
            opener: Opener::new(config.suite, welcomed.from_server, CLIENT_WINDOW),
            server: welcomed.server_index,
            requests_max,
            reports: Reports::default(),
            requests: Requests::default(),
            messages: VecDeque::new(),
            pulse_number: 0,
            group_reports: BTreeMap::new(),
            heard: now,
            timeouts: 0,
            last_timeout: now,
            quiet: 0,
            gap: TrainGap::default(),
        }
    }

    /// Queues a small message.
    pub(super) fn post(&mut self, message: Message) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push_back(message);
        }
    }
}
