//! Who did what: rows that are written in the transaction of the act itself.

use super::sql::args;
use super::{DbError, Row, Tx};

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: i64,
    /// Unix time in ms.
    pub at: i64,
    /// The account that did it; none: nobody was logged in.
    pub actor: Option<i64>,
    /// What: `order`, `validation`, …
    pub action: &'static str,
    /// On what: an id.
    pub object: String,
    /// The request.
    pub request_id: String,
    /// The network it came from.
    pub network: String,
    /// More, for a person.
    pub detail: String,
}

/// An entry as it is read.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: i64,
    /// Unix time in ms.
    pub at: i64,
    /// The account that did it.
    pub actor: Option<i64>,
    /// What.
    pub action: String,
    /// On what.
    pub object: String,
    /// The request.
    pub request_id: String,
    /// The network it came from.
    pub network: String,
    /// More, for a person.
    pub detail: String,
}

/// Writes an entry.
///
/// # Errors
/// [`DbError`].
pub async fn insert(tx: &Tx, new: &Entry) -> Result<(), DbError> {
    let sql = "INSERT INTO audit (id, at, actor, action, object, request_id, network, detail) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let parameters = args![
        new.id,
        new.at,
        new.actor,
        new.action,
        &new.object,
        &new.request_id,
        &new.network,
        &new.detail,
    ];
    tx.run(sql, parameters).await
}

/// Entries after `(at, id)` and before `until` (Unix time in ms), oldest first.
///
/// # Errors
/// [`DbError`].
pub async fn after(
    tx: &Tx,
    (at, id): (i64, i64),
    until: i64,
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let sql = "SELECT id, at, actor, action, object, request_id, network, detail FROM audit \
               WHERE (at > $1 OR (at = $1 AND id > $2)) AND at < $3 ORDER BY at, id LIMIT $4";
    let event = |row: &Row| {
        Ok(Event {
            id: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            object: row.get(4)?,
            request_id: row.get(5)?,
            network: row.get(6)?,
            detail: row.get(7)?,
        })
    };
    tx.all(sql, args![at, id, until, limit]).await?.iter().map(event).collect()
}
