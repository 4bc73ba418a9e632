//! What can go wrong with the database, and which of it passes.

use crate::vault::VaultError;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL.
    #[error("{0}")]
    Url(String),
    /// The schema is not this binary's.
    #[error("{0}")]
    Schema(String),
    /// The driver, or the database itself.
    #[error("the database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A row that no code of ours writes.
    #[error("a row of the database is not as it was written: {0}")]
    Row(&'static str),
    /// A stored secret does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl From<getrandom::Error> for DbError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}

impl DbError {
    /// Whether the same transaction may succeed when it is tried again: the database had another state in mind, was
    /// busy, or went away.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| is_passing_code(&code))
            }
            Self::Sql(error) => is_lost(error),
            _ => false,
        }
    }

    /// Whether there is no database to ask: an answer 503, not 500.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.is_passing() || matches!(self, Self::Sql(sqlx::Error::PoolTimedOut))
    }
}

/// SQLSTATE of PostgreSQL (its manual, appendix A), or SQLite's extended code in decimal, whose low byte is the kind.
///
/// 40001 and 40P01: serialization, deadlock. 25006: the server became a standby. 55P03, 57014: waited too long for a
/// lock, a statement too long. 57P01 to 57P03: it stops or starts. 08: the connection. 5 and 6: busy, locked.
fn is_passing_code(code: &str) -> bool {
    match code {
        "40001" | "40P01" | "25006" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" => true,
        _ if code.len() == 5 => code.starts_with("08"),
        _ => code.parse().is_ok_and(|code: u32| matches!(code & 0xff, 5 | 6)),
    }
}

/// Whether the connection is gone.
fn is_lost(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_a_broken_rule_is_not() {
        for code in ["40001", "40P01", "25006", "57P01", "08006", "5", "517", "6"] {
            assert!(is_passing_code(code), "{code}");
        }
        for code in ["23505", "23514", "42601", "2067", "275", "1", ""] {
            assert!(!is_passing_code(code), "{code}");
        }
        assert!(DbError::Sql(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!DbError::Row("x").is_unavailable());
    }
}
