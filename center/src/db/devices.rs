//! Devices: client keys of an account. How many are live stands in the account's row, which guards the limit.

use super::sql::args;
use super::{DbError, Row, Tx};

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: i64,
    /// Its public key, X25519: tokens are for it.
    pub client_key: [u8; 32],
    /// What its owner calls it.
    pub name: String,
    /// When it was made known, Unix time in ms.
    pub created: i64,
    /// When it was taken off; none: it is live.
    pub revoked: Option<i64>,
}

fn device(row: &Row) -> Result<Device, DbError> {
    Ok(Device {
        id: row.get(0)?,
        client_key: row.array(1)?,
        name: row.get(2)?,
        created: row.get(3)?,
        revoked: row.get(4)?,
    })
}

/// Counts one more device of an account; false when it has `most`.
///
/// # Errors
/// [`DbError`].
pub async fn count(tx: &Tx, account: i64, most: i64) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET devices = devices + 1 WHERE id = $1 AND devices < $2 RETURNING devices";
    Ok(tx.maybe(sql, args![account, most]).await?.is_some())
}

/// Locks the account's row: devices of one account change one after another.
///
/// # Errors
/// [`DbError`].
pub async fn lock(tx: &Tx, account: i64) -> Result<(), DbError> {
    tx.run("UPDATE accounts SET devices = devices WHERE id = $1", args![account]).await
}

/// The device of this account with this key, live or not.
///
/// # Errors
/// [`DbError`].
pub async fn by_key(tx: &Tx, account: i64, key: &[u8; 32]) -> Result<Option<Device>, DbError> {
    let sql = "SELECT id, client_key, name, created, revoked FROM devices WHERE account = $1 AND client_key = $2";
    tx.maybe(sql, args![account, *key]).await?.as_ref().map(device).transpose()
}

/// The device of this account with this id, live or not.
///
/// # Errors
/// [`DbError`].
pub async fn by_id(tx: &Tx, account: i64, id: i64) -> Result<Option<Device>, DbError> {
    let sql =
        "SELECT id, client_key, name, created, revoked FROM devices WHERE account = $1 AND id = $2";
    tx.maybe(sql, args![account, id]).await?.as_ref().map(device).transpose()
}

/// The live devices of an account, oldest first.
///
/// # Errors
/// [`DbError`].
pub async fn of(tx: &Tx, account: i64) -> Result<Vec<Device>, DbError> {
    let sql = "SELECT id, client_key, name, created, revoked FROM devices \
               WHERE account = $1 AND revoked IS NULL ORDER BY created, id";
    tx.all(sql, args![account]).await?.iter().map(device).collect()
}

/// Writes a device; one that was taken off comes back under its old id.
///
/// # Errors
/// [`DbError`].
pub async fn put(tx: &Tx, account: i64, new: &Device) -> Result<(), DbError> {
    let sql = "INSERT INTO devices (id, account, client_key, name, created, revoked) VALUES ($1, $2, $3, $4, $5, NULL) \
               ON CONFLICT (account, client_key) DO UPDATE SET name = $4, revoked = NULL";
    tx.run(sql, args![new.id, account, new.client_key, &new.name, new.created]).await
}

/// Takes a device off, and counts it down; false when the account has no live one with this id.
///
/// # Errors
/// [`DbError`].
pub async fn revoke(tx: &Tx, account: i64, id: i64, now: i64) -> Result<bool, DbError> {
    let sql = "UPDATE devices SET revoked = $3 WHERE account = $1 AND id = $2 AND revoked IS NULL RETURNING id";
    if tx.maybe(sql, args![account, id, now]).await?.is_none() {
        return Ok(false);
    }
    tx.run("UPDATE accounts SET devices = devices - 1 WHERE id = $1", args![account]).await?;
    Ok(true)
}
