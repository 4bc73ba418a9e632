//! The schema: one text in SQLite's words, three of which are others in PostgreSQL.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, AssertSqlSafe, SqlSafeStr as _};

use super::{DbError, Kind};

/// The steps of the schema, oldest first. A step that was released is never changed: each database keeps its digest.
const STEPS: [(i64, &str, &str); 1] = [(1, "begin", include_str!("0001_begin.sql"))];

/// Brings the schema up to the newest step. Instances that start together wait for each other.
pub(super) async fn run(kind: Kind, pool: &AnyPool) -> Result<(), DbError> {
    let steps = STEPS.map(|(version, name, text)| {
        // Fixed when the program is compiled, but for the words below.
        let text = AssertSqlSafe(in_words_of(kind, text)).into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, text, false)
    });
    let mut connection = pool.acquire().await?;
    let migrator = Migrator::with_migrations(steps.to_vec());
    migrator.run_direct(None, &mut *connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => DbError::Schema(format!(
            "the database has schema {found}, this program knows {}: a newer segcast has been at work here, start \
             that one",
            STEPS.len(),
        )),
        MigrateError::Execute(error) => error.into(),
        error => DbError::Schema(format!("the database's schema: {error}")),
    })
}

fn in_words_of(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Sqlite => text.to_owned(),
        Kind::Postgres => text
            .replace(" INTEGER", " BIGINT")
            .replace(" BLOB", " BYTEA")
            .replace(") STRICT;", ");"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_sqlite_is_left_for_postgresql() {
        for (_, name, text) in STEPS {
            let text = in_words_of(Kind::Postgres, text);
            for word in ["INTEGER", "BLOB", "STRICT"] {
                assert!(!text.contains(word), "{name}: {word}");
            }
        }
    }
}
