//! Sessions and API keys: what a bearer secret stands for. Only its SHA-256 is here.

use super::sql::args;
use super::{DbError, Row, Tx};

/// A session, or an API key.
#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Its id, by which it is ended.
    pub id: i64,
    /// Whose it is.
    pub account: i64,
    /// session or key.
    pub kind: &'static str,
    /// What its owner calls it.
    pub label: String,
    /// When it was made, Unix time in ms.
    pub created: i64,
    /// When it ends; none: never.
    pub expires: Option<i64>,
}

/// A session without its secret's hash.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: i64,
    /// SHA-256 of the secret, to know the current one.
    pub hash: [u8; 32],
    /// What its owner calls it.
    pub label: String,
    /// When it was made, Unix time in ms.
    pub created: i64,
    /// When it ends; none: never.
    pub expires: Option<i64>,
}

/// Writes a session.
///
/// # Errors
/// [`DbError`].
pub async fn insert(tx: &Tx, new: &Session) -> Result<(), DbError> {
    let sql = "INSERT INTO sessions (hash, id, account, kind, label, created, expires) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let parameters =
        args![new.hash, new.id, new.account, new.kind, &new.label, new.created, new.expires];
    tx.run(sql, parameters).await
}

/// The account behind a secret's hash, its role and its state, if the session has not ended.
///
/// # Errors
/// [`DbError`].
pub async fn holder(
    tx: &Tx,
    hash: &[u8; 32],
    now: i64,
) -> Result<Option<(i64, String, String)>, DbError> {
    let sql = "SELECT a.id, a.role, a.state FROM sessions s JOIN accounts a ON a.id = s.account \
               WHERE s.hash = $1 AND (s.expires IS NULL OR s.expires > $2)";
    let row = tx.maybe(sql, args![*hash, now]).await?;
    row.map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).transpose()
}

/// The sessions of an account that have not ended, newest first, at most 200.
///
/// # Errors
/// [`DbError`].
pub async fn of(tx: &Tx, account: i64, now: i64) -> Result<Vec<Listed>, DbError> {
    let sql = "SELECT id, hash, label, created, expires FROM sessions \
               WHERE account = $1 AND (expires IS NULL OR expires > $2) ORDER BY created DESC, id DESC LIMIT 200";
    let listed = |row: &Row| {
        Ok(Listed {
            id: row.get(0)?,
            hash: row.array(1)?,
            label: row.get(2)?,
            created: row.get(3)?,
            expires: row.get(4)?,
        })
    };
    tx.all(sql, args![account, now]).await?.iter().map(listed).collect()
}

/// Ends the session with this id; false when the account has none such.
///
/// # Errors
/// [`DbError`].
pub async fn end(tx: &Tx, account: i64, id: i64) -> Result<bool, DbError> {
    let sql = "DELETE FROM sessions WHERE account = $1 AND id = $2 RETURNING id";
    Ok(tx.maybe(sql, args![account, id]).await?.is_some())
}

/// Ends the session of this hash; false when it has ended.
///
/// # Errors
/// [`DbError`].
pub async fn end_current(tx: &Tx, hash: &[u8; 32]) -> Result<bool, DbError> {
    let sql = "DELETE FROM sessions WHERE hash = $1 RETURNING id";
    Ok(tx.maybe(sql, args![*hash]).await?.is_some())
}

/// Ends all sessions of an account but the one with this hash, and its API keys.
///
/// # Errors
/// [`DbError`].
pub async fn end_others(tx: &Tx, account: i64, but: &[u8; 32]) -> Result<(), DbError> {
    tx.run("DELETE FROM sessions WHERE account = $1 AND hash <> $2", args![account, *but]).await
}

/// The account of an API key; none when there is no such key.
///
/// # Errors
/// [`DbError`].
pub async fn end_key(tx: &Tx, id: i64) -> Result<Option<i64>, DbError> {
    let sql = "DELETE FROM sessions WHERE id = $1 AND kind = 'key' RETURNING account";
    tx.maybe(sql, args![id]).await?.map(|row| row.get(0)).transpose()
}
