//! Where every junk datagram went: by the edge's own counters, and by the kernel's for those it never saw.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Serialize;

use super::place::{Place, Side};
use crate::measure::metrics::{self, Counters};

/// Counters at one moment.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    metrics: Counters,
    socket_drops: u64,
    backlog_drops: u64,
}

/// Where a piece's junk went.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Fates {
    /// Sent by the attacker.
    pub(super) offered: u64,
    /// Counted by the edge.
    pub(super) arrived: u64,
    /// Dropped because the socket's receive buffer was full; some of them may be the transfer's.
    pub(super) socket_full: u64,
    /// What is missing in the books: offered, less arrived, less dropped at the socket.
    pub(super) lost_before: i64,
    /// Packets that the kernel dropped between device and socket, on all cores and whoever's (softnet_stat).
    pub(super) backlog_drops: u64,
    /// Of those that arrived, how many were counted as what.
    pub(super) counted: BTreeMap<String, u64>,
    /// Answers that found their queue full; those HELLOs are counted above, too.
    pub(super) unanswered: u64,
}

impl Snapshot {
    /// Reads all counters of the edge that listens on `port` and has its metrics page at `admin`.
    ///
    /// # Errors
    /// When the edge does not answer or /proc cannot be read.
    pub(super) fn take(place: &Place, admin: SocketAddr, port: u16) -> anyhow::Result<Self> {
        let softnet = std::fs::read_to_string("/proc/net/softnet_stat").context("softnet_stat")?;
        Ok(Self {
            metrics: place.at(Side::Edge, || metrics::fetch(admin))?,
            socket_drops: socket_drops(&udp_table(place)?, port)?,
            backlog_drops: backlog_drops(&softnet),
        })
    }

    /// Books `offered` datagrams that were sent between `before` and this.
    pub(super) fn fates(&self, before: &Self, offered: u64) -> Fates {
        let passed = |key: &str| {
            let at = |snapshot: &Self| snapshot.metrics.get(key).copied().unwrap_or_default();
            (at(self) - at(before)) as u64
        };
        let counts = self.metrics.keys().filter_map(|key| Some((fate(key)?, passed(key))));
        let counted: BTreeMap<String, u64> = counts.filter(|(_, count)| *count > 0).collect();
        let arrived = counted.values().sum();
        let socket_full = self.socket_drops - before.socket_drops;
        Fates {
            offered,
            arrived,
            socket_full,
            lost_before: offered.cast_signed() - (arrived + socket_full).cast_signed(),
            backlog_drops: self.backlog_drops - before.backlog_drops,
            counted,
            unanswered: passed("dropped_datagrams_total{reason=\"answer_queue_full\"}"),
        }
    }
}

impl Fates {
    /// Adds those of another piece.
    pub(super) fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.arrived += other.arrived;
        self.socket_full += other.socket_full;
        self.lost_before += other.lost_before;
        self.backlog_drops += other.backlog_drops;
        self.unanswered += other.unanswered;
        for (fate, count) in &other.counted {
            *self.counted.entry(fate.clone()).or_default() += count;
        }
    }
}

/// What a metric says of a junk datagram; none: nothing. Each datagram is counted by exactly one of them. Not among them
/// are the counters of what a session's own packets do, and answers that found their queue full, whose HELLOs are
/// counted for what they were.
fn fate(key: &str) -> Option<String> {
    let label = || Some(key.split_once("=\"")?.1.split_once('"')?.0.to_owned());
    match key.split('{').next()? {
        "dropped_datagrams_total" => label().filter(|reason| reason != "answer_queue_full"),
        "receive_lost_total" => label().filter(|cause| cause != "socket_buffer_full"),
        "handshakes_accepted_total" => Some("accepted".to_owned()),
        "handshakes_repeated_total" => Some("answered again".to_owned()),
        "handshakes_refused_total" => label().map(|code| format!("refused: {code}")),
        _ => None,
    }
}

fn udp_table(place: &Place) -> anyhow::Result<String> {
    let read = || std::fs::read_to_string("/proc/thread-self/net/udp").context("/proc/net/udp");
    place.at(Side::Edge, read)
}

/// Datagrams dropped at the sockets of a port: the last column of /proc/net/udp (proc_net(5)).
fn socket_drops(table: &str, port: u16) -> anyhow::Result<u64> {
    let drops = |line: &str| {
        let mut columns = line.split_whitespace();
        let (_, local) = columns.nth(1)?.split_once(':')?;
        let drops = columns.next_back()?.parse::<u64>().ok()?;
        (u16::from_str_radix(local, 16).ok()? == port).then_some(drops)
    };
    let found: Vec<u64> = table.lines().filter_map(drops).collect();
    anyhow::ensure!(!found.is_empty(), "no socket of port {port} in:\n{table}");
    Ok(found.iter().sum())
}

/// The second column of /proc/net/softnet_stat, hexadecimal, of all cores.
fn backlog_drops(table: &str) -> u64 {
    let second = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    table.lines().filter_map(second).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_those_of_the_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                     5: 0100007F:1306 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0000 17\n\
                     6: 0100007F:1307 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0000 4\n";
        assert_eq!(socket_drops(table, 4870).unwrap(), 17);
        assert!(socket_drops(table, 1).is_err());
        assert_eq!(backlog_drops("00000010 0000000a 0\n00000010 00000001 0\n"), 11);
    }

    #[test]
    fn junk_is_booked_by_what_the_edge_counted_and_the_rest_is_shown() {
        let at = |values: &[(&str, u32)], socket_drops| Snapshot {
            metrics: values.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect(),
            socket_drops,
            backlog_drops: 0,
        };
        let malformed = "dropped_datagrams_total{reason=\"malformed\"}";
        let unanswered = "dropped_datagrams_total{reason=\"answer_queue_full\"}";
        let refused = "handshakes_refused_total{code=\"BUSY\"}";
        let overflow = "receive_lost_total{cause=\"socket_buffer_full\"}";
        let before = at(&[(malformed, 5), (unanswered, 0), ("requests_total", 3)], 1);
        let after = [(malformed, 15), (unanswered, 2), (refused, 4), (overflow, 6)];
        let fates = at(&after, 7).fates(&before, 25);
        assert_eq!((fates.arrived, fates.socket_full, fates.lost_before), (14, 6, 5));
        let counted: Vec<(&str, u64)> =
            fates.counted.iter().map(|(fate, count)| (fate.as_str(), *count)).collect();
        assert_eq!((counted, fates.unanswered), (vec![("malformed", 10), ("refused: BUSY", 4)], 2));
    }
}
