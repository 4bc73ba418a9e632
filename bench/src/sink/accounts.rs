//! The books must balance: what the server says it sent, what the device says it was given, and what the generator saw
//! are three counts of the same packets.

use serde::Serialize;

use super::generator::Counters;
use crate::measure::metrics;

/// Three counts of everything since the server began.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Accounts {
    /// By the server's metrics.
    server: Sent,
    /// By the filter's records and the frames that came through.
    generator: Sent,
    /// Frames that the device sent, and dropped.
    device_sent: u64,
    device_dropped: u64,
    /// Frames of the kernel's own, which the device counts too.
    foreign: u64,
    /// Sequence numbers that no packet had, by the generator; and those that the server says it skipped.
    numbers_missing: u64,
    numbers_skipped: u64,
}

/// Packets on their way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Sent {
    trains: u64,
    datagrams: u64,
    /// Of UDP payload.
    bytes: u64,
}

impl Accounts {
    pub(super) fn new(
        metrics: &metrics::Counters,
        seen: &Counters,
        (device_sent, device_dropped): (u64, u64),
        numbers_missing: u64,
    ) -> Self {
        let of = |name| metrics::sum(metrics, name).unwrap_or(0);
        Self {
            server: Sent {
                trains: of("sent_trains_total"),
                datagrams: of("sent_datagrams_total"),
                bytes: of("sent_bytes_total"),
            },
            generator: Sent {
                trains: seen.trains,
                datagrams: seen.train_datagrams + seen.singles,
                bytes: seen.train_bytes + seen.single_bytes,
            },
            device_sent,
            device_dropped,
            foreign: seen.foreign,
            numbers_missing,
            numbers_skipped: of("skipped_numbers_total"),
        }
    }

    /// What does not balance; nothing: all is well.
    pub(super) fn wrong(&self, seen: &Counters) -> Vec<String> {
        let passed = seen.trains_passed;
        let pairs = [
            ("trains, by server and by filter", self.server.trains, self.generator.trains),
            ("datagrams, by server and generator", self.server.datagrams, self.generator.datagrams),
            ("bytes, by server and by generator", self.server.bytes, self.generator.bytes),
            ("drops, by device and by filter", self.device_dropped, seen.trains - passed),
            (
                "frames, by device and by generator",
                self.device_sent,
                passed + seen.singles + seen.foreign,
            ),
            ("trains that passed and trains compared", passed, seen.trains_checked),
            ("numbers missing and skipped", self.numbers_missing, self.numbers_skipped),
        ];
        let differ = pairs.into_iter().filter(|(_, one, other)| one != other);
        differ.map(|(what, one, other)| format!("{what}: {one} and {other}")).collect()
    }
}
