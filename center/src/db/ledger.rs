//! Double-entry ledger: a transfer has one debit and one credit, so the books balance by construction.
//!
//! Only customers' purses keep a running balance. Those of sales and clearing stay at 0 and are summed when asked:
//! a hot row of revenue would make all orders wait for each other.

use super::sql::args;
use super::{DbError, Row, Tx, Window};

/// A transfer to write. Its `reference` is unique among transfers of its kind.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its id.
    pub id: i64,
    /// The purse that pays.
    pub debit: i64,
    /// The purse that gets.
    pub credit: i64,
    /// Minor units, over 0.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// `top_up`, order or refund.
    pub kind: String,
    /// The order it is for.
    pub order: Option<i64>,
    /// What makes it unique.
    pub reference: String,
    /// Unix time in ms.
    pub created: i64,
}

/// A purse.
#[derive(Clone, Debug)]
pub struct Purse {
    /// Its id.
    pub id: i64,
    /// customer, sales or clearing.
    pub kind: String,
    /// The account; none for the house's.
    pub owner: Option<i64>,
    /// ISO 4217.
    pub currency: String,
    /// Minor units: of a customer what the row says, else credits less debits.
    pub balance: i64,
}

/// The purse of `kind` and `owner` (0: the house) in a currency, made under `id` when it is missing.
///
/// # Errors
/// [`DbError`].
pub async fn purse(
    tx: &Tx,
    id: i64,
    (kind, owner): (&str, i64),
    currency: &str,
) -> Result<i64, DbError> {
    let known = "SELECT id FROM purses WHERE kind = $1 AND owner = $2 AND currency = $3";
    if let Some(row) = tx.maybe(known, args![kind, owner, currency]).await? {
        return row.get(0);
    }
    let sql = "INSERT INTO purses (id, kind, owner, currency, balance) VALUES ($1, $2, $3, $4, 0) \
               ON CONFLICT (kind, owner, currency) DO NOTHING";
    tx.run(sql, args![id, kind, owner, currency]).await?;
    tx.one(known, args![kind, owner, currency]).await?.get(0)
}

/// Takes `amount` from a customer; their purse, or nothing when there is less in it.
///
/// # Errors
/// [`DbError`].
pub async fn pay(tx: &Tx, owner: i64, amount: i64, currency: &str) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE purses SET balance = balance - $2 \
               WHERE kind = 'customer' AND owner = $1 AND currency = $3 AND balance >= $2 RETURNING id";
    tx.maybe(sql, args![owner, amount, currency]).await?.map(|row| row.get(0)).transpose()
}

/// Gives `amount` to a customer's purse; its balance now.
///
/// # Errors
/// [`DbError`].
pub async fn give(tx: &Tx, purse: i64, amount: i64) -> Result<i64, DbError> {
    let sql = "UPDATE purses SET balance = balance + $2 WHERE id = $1 RETURNING balance";
    tx.one(sql, args![purse, amount]).await?.get(0)
}

/// Writes a transfer; false when its kind and reference are known.
///
/// # Errors
/// [`DbError`].
pub async fn transfer(tx: &Tx, new: &Transfer) -> Result<bool, DbError> {
    let sql = "INSERT INTO transfers (id, debit, credit, amount, currency, kind, order_id, reference, created) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (kind, reference) DO NOTHING RETURNING id";
    let parameters = args![
        new.id,
        new.debit,
        new.credit,
        new.amount,
        &new.currency,
        &new.kind,
        new.order,
        &new.reference,
        new.created,
    ];
    Ok(tx.maybe(sql, parameters).await?.is_some())
}

macro_rules! transfer {
    ($rest:literal) => {
        concat!(
            "SELECT id, debit, credit, amount, currency, kind, order_id, reference, created FROM transfers ",
            $rest
        )
    };
}

fn read_transfer(row: &Row) -> Result<Transfer, DbError> {
    Ok(Transfer {
        id: row.get(0)?,
        debit: row.get(1)?,
        credit: row.get(2)?,
        amount: row.get(3)?,
        currency: row.get(4)?,
        kind: row.get(5)?,
        order: row.get(6)?,
        reference: row.get(7)?,
        created: row.get(8)?,
    })
}

/// The transfer of this kind with this reference.
///
/// # Errors
/// [`DbError`].
pub async fn by_reference(tx: &Tx, kind: &str, reference: &str) -> Result<Transfer, DbError> {
    let sql = transfer!("WHERE kind = $1 AND reference = $2");
    read_transfer(&tx.one(sql, args![kind, reference]).await?)
}

/// Transfers made in `[from, to)`, Unix time in ms, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn transfers(
    tx: &Tx,
    (from, to): (i64, i64),
    window: Window,
) -> Result<Vec<Transfer>, DbError> {
    let sql = transfer!(
        "WHERE (created < $1 OR (created = $1 AND id < $2)) AND created >= $4 AND created < $5 \
         ORDER BY created DESC, id DESC LIMIT $3"
    );
    let mut parameters = window.args();
    parameters.extend(args![from, to]);
    tx.all(sql, parameters).await?.iter().map(read_transfer).collect()
}

/// The purses of a customer.
///
/// # Errors
/// [`DbError`].
pub async fn balances(tx: &Tx, owner: i64) -> Result<Vec<(i64, String)>, DbError> {
    let sql = "SELECT balance, currency FROM purses WHERE kind = 'customer' AND owner = $1 ORDER BY id LIMIT 200";
    tx.all(sql, args![owner]).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Purses by id, from the one after `after`.
///
/// # Errors
/// [`DbError`].
pub async fn purses(tx: &Tx, after: i64, limit: i64) -> Result<Vec<Purse>, DbError> {
    let sql = "SELECT id, kind, owner, currency, CASE WHEN kind = 'customer' THEN balance ELSE \
               (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM transfers WHERE credit = purses.id) - \
               (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM transfers WHERE debit = purses.id) END \
               FROM purses WHERE id > $1 ORDER BY id LIMIT $2";
    let purse = |row: &Row| {
        Ok(Purse {
            id: row.get(0)?,
            kind: row.get(1)?,
            owner: Some(row.get(2)?).filter(|owner| *owner != 0),
            currency: row.get(3)?,
            balance: row.get(4)?,
        })
    };
    tx.all(sql, args![after, limit]).await?.iter().map(purse).collect()
}
