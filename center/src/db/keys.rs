//! What the vault keeps: proofs of master keys, signing keys and keysets. Private keys are wrapped before they come here.

use super::sql::args;
use super::{DbError, Row, Tx};

/// The proofs of the master keys that rows are wrapped by: id, and a wrapped constant.
///
/// # Errors
/// [`DbError`].
pub async fn masters(tx: &Tx) -> Result<Vec<(i64, Vec<u8>)>, DbError> {
    let rows = tx.all("SELECT id, proof FROM masters ORDER BY id", args![]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Enters a master key's proof; nothing when it is there.
///
/// # Errors
/// [`DbError`].
pub async fn insert_master(tx: &Tx, id: i64, proof: Vec<u8>, now: i64) -> Result<(), DbError> {
    let sql =
        "INSERT INTO masters (id, proof, created) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
    tx.run(sql, args![id, proof, now]).await
}

/// A signing key. Times are Unix milliseconds.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its id.
    pub kid: [u8; 8],
    /// What it signs.
    pub use_name: String,
    /// The public half.
    pub public: [u8; 32],
    /// The private half, wrapped.
    pub wrapped: Vec<u8>,
    /// new, signing, verifying or retired.
    pub state: String,
    /// From when it signs.
    pub signs_from: i64,
    /// Until when it signs.
    pub signs_until: i64,
    /// Until when its signatures count.
    pub verify_until: i64,
}

/// All signing keys, in the order in which they begin.
///
/// # Errors
/// [`DbError`].
pub async fn signing_keys(tx: &Tx) -> Result<Vec<StoredKey>, DbError> {
    let sql = "SELECT kid, use_name, public_key, wrapped, state, signs_from, signs_until, verify_until \
               FROM signing_keys ORDER BY signs_from, verify_until";
    let key = |row: &Row| {
        Ok(StoredKey {
            kid: row.array(0)?,
            use_name: row.get(1)?,
            public: row.array(2)?,
            wrapped: row.get(3)?,
            state: row.get(4)?,
            signs_from: row.get(5)?,
            signs_until: row.get(6)?,
            verify_until: row.get(7)?,
        })
    };
    tx.all(sql, args![]).await?.iter().map(key).collect()
}

/// Enters a signing key.
///
/// # Errors
/// [`DbError`].
pub async fn insert_signing_key(tx: &Tx, new: &StoredKey) -> Result<(), DbError> {
    let sql = "INSERT INTO signing_keys (kid, use_name, public_key, wrapped, state, signs_from, signs_until, \
               verify_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let parameters = args![
        new.kid,
        &new.use_name,
        new.public,
        new.wrapped.clone(),
        &new.state,
        new.signs_from,
        new.signs_until,
        new.verify_until,
    ];
    tx.run(sql, parameters).await
}

/// The newest keyset: its number, its bytes, and when it ends (Unix time, ms).
///
/// # Errors
/// [`DbError`].
pub async fn newest_keyset(tx: &Tx) -> Result<Option<(i64, Vec<u8>, i64)>, DbError> {
    let sql = "SELECT number, bytes, expires FROM keysets ORDER BY number DESC LIMIT 1";
    let row = tx.maybe(sql, args![]).await?;
    row.map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).transpose()
}

/// Enters a keyset; false when its number is taken.
///
/// # Errors
/// [`DbError`].
pub async fn insert_keyset(
    tx: &Tx,
    number: i64,
    bytes: Vec<u8>,
    (issued, expires): (i64, i64),
) -> Result<bool, DbError> {
    let sql = "INSERT INTO keysets (number, bytes, issued, expires) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (number) DO NOTHING RETURNING number";
    Ok(tx.maybe(sql, args![number, bytes, issued, expires]).await?.is_some())
}
