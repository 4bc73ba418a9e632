//! Orders: what an account bought, and how much of it was paid back.

use segcast_proto::ids::SetId;

use super::sql::args;
use super::{DbError, Row, Tx, Window};

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its id.
    pub id: i64,
    /// Who ordered.
    pub account: i64,
    /// What was offered.
    pub offer: i64,
    /// The set that was the title's newest then.
    pub set: SetId,
    /// Minor units, as the offer said then.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// Minor units paid back.
    pub refunded: i64,
    /// In how many refunds.
    pub refunds: i64,
    /// paid or refunded.
    pub state: String,
    /// Unix time in ms.
    pub created: i64,
    /// The title's name in addresses.
    pub slug: String,
}

macro_rules! orders {
    ($rest:literal) => {
        concat!(
            "SELECT o.id, o.account, o.offer, o.set_id, o.price, o.currency, o.refunded, o.refunds, o.state, \
             o.created, t.slug FROM orders o JOIN sets s ON s.set_id = o.set_id JOIN titles t ON t.id = s.title ",
            $rest
        )
    };
}

fn order(row: &Row) -> Result<Order, DbError> {
    Ok(Order {
        id: row.get(0)?,
        account: row.get(1)?,
        offer: row.get(2)?,
        set: SetId(row.array(3)?),
        price: row.get(4)?,
        currency: row.get(5)?,
        refunded: row.get(6)?,
        refunds: row.get(7)?,
        state: row.get(8)?,
        created: row.get(9)?,
        slug: row.get(10)?,
    })
}

/// Writes an order that is paid.
///
/// # Errors
/// [`DbError`].
pub async fn insert(tx: &Tx, new: &Order) -> Result<(), DbError> {
    let sql = "INSERT INTO orders (id, account, offer, set_id, price, currency, refunded, refunds, state, created) \
               VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 'paid', $7)";
    let parameters =
        args![new.id, new.account, new.offer, new.set.0, new.price, &new.currency, new.created];
    tx.run(sql, parameters).await
}

/// The order with this id.
///
/// # Errors
/// [`DbError`].
pub async fn by_id(tx: &Tx, id: i64) -> Result<Option<Order>, DbError> {
    tx.maybe(orders!("WHERE o.id = $1"), args![id]).await?.as_ref().map(order).transpose()
}

/// The same, with its row locked until the transaction ends: refunds of one order come one after another.
///
/// # Errors
/// [`DbError`].
pub async fn lock(tx: &Tx, id: i64) -> Result<Option<Order>, DbError> {
    tx.run("UPDATE orders SET refunds = refunds WHERE id = $1", args![id]).await?;
    by_id(tx, id).await
}

/// Orders of an account, or of all (0), newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(tx: &Tx, account: i64, window: Window) -> Result<Vec<Order>, DbError> {
    let sql = orders!(
        "WHERE (o.account = $4 OR $4 = 0) AND (o.created < $1 OR (o.created = $1 AND o.id < $2)) \
         ORDER BY o.created DESC, o.id DESC LIMIT $3"
    );
    let mut parameters = window.args();
    parameters.extend(args![account]);
    tx.all(sql, parameters).await?.iter().map(order).collect()
}

/// Pays back `amount` of an order; how many refunds it has now, or nothing when there is less left of its price.
///
/// # Errors
/// [`DbError`].
pub async fn refund(tx: &Tx, id: i64, amount: i64) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE orders SET refunded = refunded + $2, refunds = refunds + 1, \
               state = CASE WHEN refunded + $2 = price THEN 'refunded' ELSE 'paid' END \
               WHERE id = $1 AND state = 'paid' AND refunded + $2 <= price RETURNING refunds";
    tx.maybe(sql, args![id, amount]).await?.map(|row| row.get(0)).transpose()
}
