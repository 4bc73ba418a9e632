//! The report for people.

use std::fmt::Write as _;

use segcast_config::amount::rounded;

use super::ledger::Line;

/// A table: a line for each title and hour.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = String::from(
        "hour (Unix)  title                             viewers  starts  at 0      sent  by group   unicast  saved  peak/s  groups  bound\n",
    );
    for line in lines {
        let bound = line.bound_bytes.map_or_else(|| "-".to_owned(), rounded::size);
        writeln!(
            table,
            "{:11}  {:32}  {:7.1}  {:6}  {:3.0}%  {:>8}  {:>8}  {:>8}  {:4.0}%  {:>8}  {:6}  {}",
            line.hour,
            line.title,
            line.viewers,
            line.starts,
            100.0 * line.starts_at_beginning,
            rounded::size(line.sent_bytes),
            rounded::size(line.would_group_bytes),
            rounded::size(line.would_unicast_bytes),
            100.0 * line.saved,
            rounded::size(line.peak_second_bytes),
            line.groups,
            bound,
        )
        .expect("a String takes all");
    }
    table
}
