//! What became of every segment that was intended.

use std::collections::BTreeMap;

use segcast_proto::wire::code::Code;
use serde::{Deserialize, Serialize};

/// Why a segment that was asked for did not come, other than by a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Its bytes are not what the manifest says.
    WrongBytes,
    /// The server ended the session.
    SessionClosed,
    /// The session got no answer any more and ended.
    SessionLost,
}

/// Why a segment was never asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unoffered {
    /// Its session was not open: not yet, or it was refused, or it ended.
    NoSession,
    /// Its session had as many requests under way as a session may have.
    SessionFull,
    /// The generator was so late that the deadline had passed before it could send.
    GeneratorLate,
    /// The run was stopped while it waited for its session.
    Stopped,
}

/// Counts of segments. At any moment `intended` is the sum of all others, with [`Self::in_flight`] for what is
/// under way; at the end of a run that is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Their time came.
    pub intended: u64,
    /// Came whole, verified, in time.
    pub complete: u64,
    /// Came whole and verified after its deadline.
    pub late: u64,
    /// Asked for, and nothing or not all came until the run gave up on it.
    pub lost: u64,
    /// Refused by the server, by its code: asked for, or waiting for the session that was refused.
    pub refused: BTreeMap<Code, u64>,
    /// Failed.
    pub failed: BTreeMap<Failure, u64>,
    /// Never asked for.
    pub never_offered: BTreeMap<Unoffered, u64>,
}

impl Ledger {
    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.intended += other.intended;
        self.complete += other.complete;
        self.late += other.late;
        self.lost += other.lost;
        add(&mut self.refused, &other.refused);
        add(&mut self.failed, &other.failed);
        add(&mut self.never_offered, &other.never_offered);
    }

    /// Segments with an end.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.complete
            + self.late
            + self.lost
            + self.refused.values().sum::<u64>()
            + self.failed.values().sum::<u64>()
            + self.never_offered.values().sum::<u64>()
    }

    /// Intended less all that ended: under way during a run, the remainder at its end, which must be 0. Signed,
    /// because one second's ends may belong to earlier seconds' intentions.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.intended.cast_signed() - self.ended().cast_signed()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn add<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (cause, count) in from {
        *into.entry(*cause).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_closes_over_seconds() {
        let mut first = Ledger { intended: 10, complete: 3, ..Ledger::default() };
        first.refused.insert(Code::Busy, 2);
        let mut second = Ledger { late: 1, lost: 1, ..Ledger::default() };
        second.refused.insert(Code::Busy, 1);
        second.never_offered.insert(Unoffered::SessionFull, 1);
        second.failed.insert(Failure::WrongBytes, 1);
        assert_eq!(second.in_flight(), -5);
        first.add(&second);
        assert_eq!(first.refused[&Code::Busy], 3);
        assert_eq!(first.in_flight(), 0);
    }
}
