//! What stands before an act, in the same transaction: how often, and whether it was done already.
//!
//! Counting with the act costs one statement and keeps the promise at all instances together. The order of locks is
//! the same everywhere: rate, idempotency, account, ticket or order, certificate, purse, counter, audit.

use super::sql::args;
use super::{DbError, Row, Tx};

/// A limit of rate: GCRA (ITU-T I.371, annex A), one row a bucket.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Whose, and of what; at most 200 bytes.
    pub bucket: String,
    /// Milliseconds that one act costs.
    pub each_ms: i64,
    /// Milliseconds that may be used up at once.
    pub burst_ms: i64,
}

/// Counts one act at `now` (Unix time, ms); how many ms too early it is, or 0 when it may go on.
///
/// # Errors
/// [`DbError`].
pub async fn take(tx: &Tx, rate: &Rate, now: i64) -> Result<i64, DbError> {
    let sql = "INSERT INTO rate_limits AS r (bucket, tat) VALUES ($1, $2 + $3) ON CONFLICT (bucket) DO UPDATE \
               SET tat = CASE WHEN r.tat > $2 THEN r.tat ELSE $2 END + $3 WHERE r.tat <= $2 + $4 RETURNING tat";
    if tx.maybe(sql, args![&rate.bucket, now, rate.each_ms, rate.burst_ms]).await?.is_some() {
        return Ok(0);
    }
    let row =
        tx.maybe("SELECT tat FROM rate_limits WHERE bucket = $1", args![&rate.bucket]).await?;
    let tat = row.map_or(Ok(now), |row| row.get(0))?;
    Ok((tat - rate.burst_ms - now).max(1))
}

/// What an idempotency key stands for.
#[derive(Debug)]
pub enum Known {
    /// Nothing yet: it is taken now.
    Fresh,
    /// The same request: its sealed answer.
    Same(Vec<u8>),
    /// Another request.
    Other,
}

/// Takes a key for a request. A second one with the same key waits here until the first has committed.
///
/// # Errors
/// [`DbError`].
pub async fn claim(
    tx: &Tx,
    (owner, key): (&str, &str),
    (route, request): (&str, &[u8; 32]),
    expires: i64,
) -> Result<Known, DbError> {
    let sql = "INSERT INTO idempotency (owner, key, route, request, answer, expires) \
               VALUES ($1, $2, $3, $4, NULL, $5) ON CONFLICT (owner, key) DO NOTHING RETURNING key";
    if tx.maybe(sql, args![owner, key, route, *request, expires]).await?.is_some() {
        return Ok(Known::Fresh);
    }
    let sql = "SELECT route, request, answer FROM idempotency WHERE owner = $1 AND key = $2";
    let row = tx.one(sql, args![owner, key]).await?;
    is_same(&row, route, request)
}

fn is_same(row: &Row, route: &str, request: &[u8; 32]) -> Result<Known, DbError> {
    if row.get::<String>(0)? != route || row.array(1)? != *request {
        return Ok(Known::Other);
    }
    let answer: Option<Vec<u8>> = row.get(2)?;
    answer.map(Known::Same).ok_or(DbError::Row("an idempotency key was kept without an answer"))
}

/// Keeps the sealed answer of a key.
///
/// # Errors
/// [`DbError`].
pub async fn keep(tx: &Tx, (owner, key): (&str, &str), answer: Vec<u8>) -> Result<(), DbError> {
    let sql = "UPDATE idempotency SET answer = $3 WHERE owner = $1 AND key = $2";
    tx.run(sql, args![owner, key, answer]).await
}

/// Gives a key back: what was refused was not done.
///
/// # Errors
/// [`DbError`].
pub async fn release(tx: &Tx, (owner, key): (&str, &str)) -> Result<(), DbError> {
    tx.run("DELETE FROM idempotency WHERE owner = $1 AND key = $2", args![owner, key]).await
}
