//! What is due from time to time: rows that have had their day go, and the books are looked over.

use super::sql::args;
use super::{DbError, Tx};

/// Removes at most 500 rows of each table whose time has passed; how many went.
///
/// # Errors
/// [`DbError`].
pub async fn purge(tx: &Tx, now: i64) -> Result<usize, DbError> {
    let due = [
        "DELETE FROM idempotency WHERE (owner, key) IN \
         (SELECT owner, key FROM idempotency WHERE expires < $1 LIMIT 500) RETURNING 1",
        "DELETE FROM rate_limits WHERE bucket IN \
         (SELECT bucket FROM rate_limits WHERE tat < $1 LIMIT 500) AND tat < $1 RETURNING 1",
        "DELETE FROM sessions WHERE hash IN \
         (SELECT hash FROM sessions WHERE expires < $1 LIMIT 500) RETURNING 1",
        "DELETE FROM revocations WHERE number IN \
         (SELECT number FROM revocations WHERE until < $1 LIMIT 500) RETURNING 1",
    ];
    let mut gone = 0;
    for sql in due {
        gone += tx.all(sql, args![now]).await?.len();
    }
    Ok(gone)
}

/// The rules of the books, each of which names the rows that break it. One statement sees one moment.
const PURSES: &str = "SELECT p.id FROM purses p WHERE p.kind = 'customer' AND p.balance <> \
     (SELECT coalesce(sum(t.amount), 0) FROM transfers t WHERE t.credit = p.id) - \
     (SELECT coalesce(sum(t.amount), 0) FROM transfers t WHERE t.debit = p.id) LIMIT 100";

const ORDERS: [&str; 5] = [
    // An order was paid by one transfer of its price.
    "SELECT o.id FROM orders o WHERE o.price <> \
     (SELECT coalesce(sum(t.amount), 0) FROM transfers t WHERE t.order_id = o.id AND t.kind = 'order') LIMIT 100",
    // What it gave back are its refunds.
    "SELECT o.id FROM orders o WHERE o.refunded <> \
     (SELECT coalesce(sum(t.amount), 0) FROM transfers t WHERE t.order_id = o.id AND t.kind = 'refund') LIMIT 100",
    // Plays sold are plays left, plays withdrawn and certificates that spend.
    "SELECT r.order_id FROM tickets r WHERE r.parent IS NULL AND r.plays IS NOT NULL AND r.plays <> \
     (SELECT coalesce(sum(k.plays), 0) FROM tickets k WHERE k.order_id = r.order_id AND k.state <> 'spent') + \
     (SELECT count(*) FROM certificates c JOIN tickets k ON k.serial = c.ticket \
      WHERE k.order_id = r.order_id AND c.spends = 1) LIMIT 100",
    // A ticket that came from another came from one that is spent.
    "SELECT k.order_id FROM tickets k JOIN tickets p ON p.serial = k.parent WHERE p.state <> 'spent' LIMIT 100",
    // A spent ticket has a certificate that spends it.
    "SELECT k.order_id FROM tickets k WHERE k.state = 'spent' AND NOT EXISTS \
     (SELECT 1 FROM certificates c WHERE c.ticket = k.serial AND c.spends = 1) LIMIT 100",
];

/// The books: how many transfers there are, and which purses and orders do not add up, at most 100 by each rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// Transfers.
    pub transfers: i64,
    /// Customers' purses whose balance is not credits less debits.
    pub wrong_purses: Vec<i64>,
    /// Orders whose money or plays do not add up.
    pub wrong_orders: Vec<i64>,
}

/// Looks over the books.
///
/// # Errors
/// [`DbError`].
pub async fn books(tx: &Tx) -> Result<Books, DbError> {
    let transfers = tx.one("SELECT count(*) FROM transfers", args![]).await?.get(0)?;
    let wrong_purses = ids(tx, PURSES).await?;
    let mut wrong_orders = Vec::new();
    for rule in ORDERS {
        wrong_orders.extend(ids(tx, rule).await?);
    }
    wrong_orders.sort_unstable();
    wrong_orders.dedup();
    Ok(Books { transfers, wrong_purses, wrong_orders })
}

async fn ids(tx: &Tx, sql: &'static str) -> Result<Vec<i64>, DbError> {
    tx.all(sql, args![]).await?.iter().map(|row| row.get(0)).collect()
}
