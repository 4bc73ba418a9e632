//! What was sent, and what would have been: by title and hour.

use std::collections::BTreeMap;
use std::time::Duration;

use segcast_proto::coalesce::SetFacts;
use segcast_proto::ids::SetId;
use serde::Serialize;

use super::limits::{HOURS, TITLES};

/// One title in one hour.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    sent: u64,
    group: u64,
    unicast: u64,
    sends: u64,
    served: u64,
    starts: u64,
    at_beginning: u64,
    /// Viewers, summed up over seconds; and how many seconds that were.
    viewers: u64,
    seconds: u64,
    this_second: u64,
    peak: u64,
    groups: u64,
    /// A segment plays so long, and has so many bytes.
    playing: Option<Duration>,
    segment_bytes: u32,
}

/// A row as it is shown. Bytes are payload of DATA, and for groups whole datagrams.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// When the hour began, Unix seconds.
    pub(crate) hour: u64,
    /// The set; "others" beyond the titles that are told apart.
    pub(crate) title: String,
    /// Sessions that asked in the last 30 s, mean over the seconds with any.
    pub(crate) viewers: f64,
    /// First requests of sessions.
    pub(crate) starts: u64,
    /// Share of them for the first segment.
    pub(crate) starts_at_beginning: f64,
    /// What the edge was asked for.
    pub(crate) sent_bytes: u64,
    /// What would have gone to groups, and to single sessions.
    pub(crate) would_group_bytes: u64,
    pub(crate) would_unicast_bytes: u64,
    /// Segments that would have been sent to a group, and requests that this would have served.
    pub(crate) group_sends: u64,
    pub(crate) group_served: u64,
    /// 1 − would / sent.
    pub(crate) saved: f64,
    /// The largest second of group bytes.
    pub(crate) peak_second_bytes: u64,
    /// Channels at the fullest moment.
    pub(crate) groups: u64,
    /// What no schedule can go below with so many viewers who all begin at 0, b ln(1 + N) for an hour; none where fewer than
    /// nine in ten do, or where the title has no running time.
    pub(crate) bound_bytes: Option<u64>,
}

impl Row {
    fn line(&self, hour: u64, title: Option<SetId>) -> Line {
        let viewers = self.viewers as f64 / self.seconds.max(1) as f64;
        let at_beginning = self.at_beginning as f64 / self.starts.max(1) as f64;
        let would = self.group + self.unicast;
        let per_second =
            self.playing.map(|time| f64::from(self.segment_bytes) / time.as_secs_f64());
        let bound = per_second.filter(|_| self.starts > 0 && at_beginning >= 0.9);
        Line {
            hour: hour * 3600,
            title: title.map_or_else(|| "others".to_owned(), |set| set.to_string()),
            viewers,
            starts: self.starts,
            starts_at_beginning: at_beginning,
            sent_bytes: self.sent,
            would_group_bytes: self.group,
            would_unicast_bytes: self.unicast,
            group_sends: self.sends,
            group_served: self.served,
            saved: if self.sent == 0 { 0.0 } else { 1.0 - would as f64 / self.sent as f64 },
            peak_second_bytes: self.peak.max(self.this_second),
            groups: self.groups,
            bound_bytes: bound.map(|rate| (rate * viewers.ln_1p() * 3600.0) as u64),
        }
    }
}

/// All rows: of the last hours, and in each of at most so many titles.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    hour: u64,
    rows: BTreeMap<(u64, Option<SetId>), Row>,
}

impl Ledger {
    /// The hour that `unix`, seconds, lies in.
    pub(super) fn set_time(&mut self, unix: u64) {
        self.hour = unix / 3600;
        let oldest = self.hour.saturating_sub(HOURS - 1);
        self.rows.retain(|(hour, _), _| *hour >= oldest);
    }

    fn row(&mut self, set: SetId) -> &mut Row {
        let mut key = (self.hour, Some(set));
        if !self.rows.contains_key(&key) {
            let of_hour = (self.hour, None)..=(self.hour, Some(SetId([0xFF; 16])));
            let titles = self.rows.range(of_hour).filter(|((_, set), _)| set.is_some()).count();
            if titles >= TITLES {
                key.1 = None;
            }
        }
        self.rows.entry(key).or_default()
    }

    /// Somebody was sent `bytes` of a set.
    pub(super) fn sent(&mut self, set: SetId, bytes: u64) {
        self.row(set).sent += bytes;
    }

    /// … and would have been sent them with groups, too.
    pub(super) fn by_unicast(&mut self, set: SetId, bytes: u64) {
        self.row(set).unicast += bytes;
    }

    /// A session's first request of a set.
    pub(super) fn begins(&mut self, set: SetId, facts: &SetFacts, segment: u32) {
        let row = self.row(set);
        row.starts += 1;
        row.at_beginning += u64::from(segment == 0);
        (row.playing, row.segment_bytes) = (facts.playing, facts.segment_bytes);
    }

    /// So many bytes of datagrams would have gone to a group.
    pub(super) fn by_group(&mut self, set: SetId, bytes: u64) {
        let row = self.row(set);
        row.group += bytes;
        row.this_second += bytes;
    }

    /// A segment would have been sent to a group, for so many requests.
    pub(super) fn send(&mut self, set: SetId, served: u64) {
        let row = self.row(set);
        row.sends += 1;
        row.served += served;
    }

    /// A request for what would have been overheard.
    pub(super) fn overheard(&mut self, set: SetId) {
        self.row(set).served += 1;
    }

    /// A second is over in which a set had so many viewers and groups.
    pub(super) fn second(&mut self, set: SetId, viewers: u64, groups: u64) {
        let row = self.row(set);
        row.viewers += viewers;
        row.seconds += 1;
        row.groups = row.groups.max(groups);
        row.peak = row.peak.max(std::mem::take(&mut row.this_second));
    }

    /// All rows, the newest hour first, and in each the most bytes first.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> =
            self.rows.iter().map(|((hour, set), row)| row.line(*hour, *set)).collect();
        lines.sort_by_key(|line| (line.hour, line.sent_bytes));
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(number: u32) -> SetId {
        SetId::new([1; 12], number)
    }

    fn facts() -> SetFacts {
        let playing = Some(Duration::from_secs(2));
        SetFacts { segments: 9, segment_bytes: 1_000_000, symbols: 1600, parity: 400, playing }
    }

    #[test]
    fn a_row_says_what_groups_would_have_saved() {
        let mut ledger = Ledger::default();
        ledger.set_time(7200 + 17);
        for segment in [0, 0, 5] {
            ledger.begins(set(1), &facts(), segment);
        }
        ledger.sent(set(1), 4_000_000);
        ledger.by_unicast(set(1), 500_000);
        ledger.by_group(set(1), 400_000);
        ledger.second(set(1), 3, 2);
        ledger.by_group(set(1), 100_000);
        ledger.second(set(1), 5, 1);
        ledger.send(set(1), 3);
        let line = &ledger.lines()[0];
        assert_eq!((line.hour, line.title.clone()), (7200, set(1).to_string()));
        assert_eq!((line.viewers, line.groups, line.peak_second_bytes), (4.0, 2, 400_000));
        assert_eq!((line.saved, line.group_sends, line.group_served), (0.75, 1, 3));
        assert_eq!(line.bound_bytes, None, "a third begins elsewhere");
        (0..30).for_each(|_| ledger.begins(set(1), &facts(), 0));
        let bound = ledger.lines()[0].bound_bytes.unwrap();
        // ln 5 = 1.609 streams of 500 kB/s.
        assert!((2_896_000_000..2_898_000_000).contains(&bound), "{bound}");
    }

    #[test]
    fn titles_beyond_those_told_apart_are_one_and_hours_end() {
        let mut ledger = Ledger::default();
        for hour in 0..HOURS + 3 {
            ledger.set_time(hour * 3600);
            for number in 0..TITLES as u32 + 5 {
                ledger.sent(set(number), 1);
            }
        }
        let lines = ledger.lines();
        assert_eq!(lines.len(), HOURS as usize * (TITLES + 1));
        let others: Vec<_> = lines.iter().filter(|line| line.title == "others").collect();
        assert!(others.iter().all(|line| line.sent_bytes == 5));
        assert_eq!(lines.last().map(|line| line.hour), Some(3 * 3600));
    }
}
