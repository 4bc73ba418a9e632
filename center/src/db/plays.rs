//! Tickets, certificates and revocations: the right to play, from its sale to its end.
//!
//! A play is spent once because of one statement, [`spend`]: the second to come waits for the first and finds no row.
//! Were that wrong, UNIQUE on `parent` and on the certificates that spend would refuse it.

use segcast_proto::ids::SetId;

use super::sql::args;
use super::{DbError, Row, Tx, Window};

/// A ticket.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Its serial.
    pub serial: i64,
    /// Whose it is.
    pub account: i64,
    /// What it came from.
    pub order: i64,
    /// The ticket that was spent for it.
    pub parent: Option<i64>,
    /// What it plays.
    pub set: SetId,
    /// Plays left; none: unlimited.
    pub plays: Option<i64>,
    /// How long a play lasts, ms; none: for good.
    pub play_window: Option<i64>,
    /// Unix time in ms.
    pub created: i64,
    /// Until when it can be started; none: for good.
    pub expires: Option<i64>,
    /// live, spent or revoked.
    pub state: String,
    /// The other part of the title key, wrapped.
    pub k1: Vec<u8>,
    /// The title's name in addresses.
    pub slug: String,
    /// The title's name.
    pub name: String,
}

macro_rules! tickets {
    ($rest:literal) => {
        concat!(
            "SELECT k.serial, k.account, k.order_id, k.parent, k.set_id, k.plays, k.play_window, k.created, k.expires, \
             k.state, k.k1, t.slug, t.name FROM tickets k JOIN sets s ON s.set_id = k.set_id JOIN titles t ON t.id = s.title ",
            $rest
        )
    };
}

fn ticket(row: &Row) -> Result<Ticket, DbError> {
    Ok(Ticket {
        serial: row.get(0)?,
        account: row.get(1)?,
        order: row.get(2)?,
        parent: row.get(3)?,
        set: SetId(row.array(4)?),
        plays: row.get(5)?,
        play_window: row.get(6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
        state: row.get(9)?,
        k1: row.get(10)?,
        slug: row.get(11)?,
        name: row.get(12)?,
    })
}

/// Writes a live ticket.
///
/// # Errors
/// [`DbError`].
pub async fn insert_ticket(tx: &Tx, new: &Ticket) -> Result<(), DbError> {
    let sql = "INSERT INTO tickets (serial, account, order_id, parent, set_id, plays, play_window, created, expires, \
               state, k1, uses) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $10, 0)";
    let parameters = args![
        new.serial,
        new.account,
        new.order,
        new.parent,
        new.set.0,
        new.plays,
        new.play_window,
        new.created,
        new.expires,
        new.k1.clone(),
    ];
    tx.run(sql, parameters).await
}

/// The ticket with this serial.
///
/// # Errors
/// [`DbError`].
pub async fn ticket_by_serial(tx: &Tx, serial: i64) -> Result<Option<Ticket>, DbError> {
    tx.maybe(tickets!("WHERE k.serial = $1"), args![serial]).await?.as_ref().map(ticket).transpose()
}

/// Tickets of an account in a state (empty: any), newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list_tickets(
    tx: &Tx,
    account: i64,
    state: &str,
    window: Window,
) -> Result<Vec<Ticket>, DbError> {
    let sql = tickets!(
        "WHERE k.account = $4 AND (k.state = $5 OR $5 = '') AND (k.created < $1 OR (k.created = $1 AND k.serial < $2)) \
         ORDER BY k.created DESC, k.serial DESC LIMIT $3"
    );
    let mut parameters = window.args();
    parameters.extend(args![account, state]);
    tx.all(sql, parameters).await?.iter().map(ticket).collect()
}

/// Uses a live ticket of this account and set; false when there is none such at `now`.
///
/// # Errors
/// [`DbError`].
pub async fn spend(
    tx: &Tx,
    serial: i64,
    account: i64,
    set: SetId,
    now: i64,
) -> Result<bool, DbError> {
    let sql = "UPDATE tickets SET uses = uses + 1, state = CASE WHEN plays IS NULL THEN 'live' ELSE 'spent' END \
               WHERE serial = $1 AND account = $2 AND set_id = $3 AND state = 'live' \
               AND (expires IS NULL OR expires > $4) RETURNING serial";
    Ok(tx.maybe(sql, args![serial, account, set.0, now]).await?.is_some())
}

/// Locks all tickets of an order until the transaction ends; their serials.
///
/// One pass is not enough: it waits for a validation that has a ticket, and cannot see the next ticket which that one
/// writes. Once a pass finds no more than the one before, all are locked, and only who has one could write another.
///
/// # Errors
/// [`DbError`].
pub async fn lock_tickets(tx: &Tx, order: i64) -> Result<Vec<i64>, DbError> {
    let sql = "UPDATE tickets SET uses = uses WHERE order_id = $1 RETURNING serial";
    let mut before = 0;
    loop {
        let rows = tx.all(sql, args![order]).await?;
        if rows.len() == before {
            return rows.iter().map(|row| row.get(0)).collect();
        }
        before = rows.len();
    }
}

/// Revokes a ticket that is live; false when it is not.
///
/// # Errors
/// [`DbError`].
pub async fn revoke_ticket(tx: &Tx, serial: i64) -> Result<bool, DbError> {
    let sql = "UPDATE tickets SET state = 'revoked' WHERE serial = $1 AND state = 'live' RETURNING serial";
    Ok(tx.maybe(sql, args![serial]).await?.is_some())
}

/// The orders of an account, which its tickets hang on.
///
/// # Errors
/// [`DbError`].
pub async fn orders_of(tx: &Tx, account: i64) -> Result<Vec<i64>, DbError> {
    let rows =
        tx.all("SELECT id FROM orders WHERE account = $1 ORDER BY id", args![account]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// A certificate. Its serial is the play's id.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its serial.
    pub serial: i64,
    /// The ticket it came from.
    pub ticket: i64,
    /// Whether the ticket was spent for it.
    pub spends: bool,
    /// Whose it is.
    pub account: i64,
    /// On which device.
    pub device: i64,
    /// What it plays.
    pub set: SetId,
    /// Unix time in ms.
    pub created: i64,
    /// Until when; none: for good.
    pub expires: Option<i64>,
    /// live or revoked.
    pub state: String,
}

macro_rules! certificates {
    ($rest:literal) => {
        concat!(
            "SELECT serial, ticket, spends, account, device, set_id, created, expires, state FROM certificates ",
            $rest
        )
    };
}

fn certificate(row: &Row) -> Result<Certificate, DbError> {
    Ok(Certificate {
        serial: row.get(0)?,
        ticket: row.get(1)?,
        spends: row.get::<i64>(2)? == 1,
        account: row.get(3)?,
        device: row.get(4)?,
        set: SetId(row.array(5)?),
        created: row.get(6)?,
        expires: row.get(7)?,
        state: row.get(8)?,
    })
}

/// Writes a live certificate.
///
/// # Errors
/// [`DbError`].
pub async fn insert_certificate(tx: &Tx, new: &Certificate) -> Result<(), DbError> {
    let sql = "INSERT INTO certificates (serial, ticket, spends, account, device, set_id, created, expires, state, \
               tokens, last_token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'live', 0, NULL)";
    let parameters = args![
        new.serial,
        new.ticket,
        i64::from(new.spends),
        new.account,
        new.device,
        new.set.0,
        new.created,
        new.expires,
    ];
    tx.run(sql, parameters).await
}

/// The certificate with this serial.
///
/// # Errors
/// [`DbError`].
pub async fn certificate_by_serial(tx: &Tx, serial: i64) -> Result<Option<Certificate>, DbError> {
    let row = tx.maybe(certificates!("WHERE serial = $1"), args![serial]).await?;
    row.as_ref().map(certificate).transpose()
}

/// When a ticket was spent, and the name of the device it was spent on.
///
/// # Errors
/// [`DbError`].
pub async fn spent_by(tx: &Tx, ticket: i64) -> Result<Option<(i64, String)>, DbError> {
    let sql = "SELECT c.created, d.name FROM certificates c JOIN devices d ON d.id = c.device \
               WHERE c.ticket = $1 AND c.spends = 1";
    tx.maybe(sql, args![ticket]).await?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// Counts a token of a live certificate of this account and device: the set, and when the certificate ends.
///
/// # Errors
/// [`DbError`].
pub async fn renew(
    tx: &Tx,
    serial: i64,
    (account, device): (i64, i64),
    now: i64,
) -> Result<Option<(SetId, Option<i64>)>, DbError> {
    let sql = "UPDATE certificates SET tokens = tokens + 1, last_token = $4 \
               WHERE serial = $1 AND account = $2 AND device = $3 AND state = 'live' \
               AND (expires IS NULL OR expires > $4) RETURNING set_id, expires";
    let row = tx.maybe(sql, args![serial, account, device, now]).await?;
    row.map(|row| Ok((SetId(row.array(0)?), row.get(1)?))).transpose()
}

/// Which certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this serial.
    Serial(i64),
    /// Those of a ticket.
    Ticket(i64),
    /// Those on a device.
    Device(i64),
    /// Those of an account.
    Account(i64),
    /// Those made before a time (Unix, ms): at most 1000 at once.
    Before(i64),
}

/// Revokes live certificates; their serials.
///
/// # Errors
/// [`DbError`].
pub async fn revoke_certificates(tx: &Tx, which: Which) -> Result<Vec<i64>, DbError> {
    let (sql, id) = match which {
        Which::Serial(id) => (
            "UPDATE certificates SET state = 'revoked' WHERE serial = $1 AND state = 'live' RETURNING serial",
            id,
        ),
        Which::Ticket(id) => (
            "UPDATE certificates SET state = 'revoked' WHERE ticket = $1 AND state = 'live' RETURNING serial",
            id,
        ),
        Which::Device(id) => (
            "UPDATE certificates SET state = 'revoked' WHERE device = $1 AND state = 'live' RETURNING serial",
            id,
        ),
        Which::Account(id) => (
            "UPDATE certificates SET state = 'revoked' WHERE account = $1 AND state = 'live' RETURNING serial",
            id,
        ),
        Which::Before(time) => (
            "UPDATE certificates SET state = 'revoked' WHERE serial IN (SELECT serial FROM certificates \
             WHERE created < $1 AND state = 'live' LIMIT 1000) AND state = 'live' RETURNING serial",
            time,
        ),
    };
    tx.all(sql, args![id]).await?.iter().map(|row| row.get(0)).collect()
}

/// Whether any certificate came from this ticket.
///
/// # Errors
/// [`DbError`].
pub async fn was_played(tx: &Tx, ticket: i64) -> Result<bool, DbError> {
    let sql = "SELECT serial FROM certificates WHERE ticket = $1 LIMIT 1";
    Ok(tx.maybe(sql, args![ticket]).await?.is_some())
}

/// Enters a revoked play. Numbers are committed in their order, since the counter's row is locked until then.
///
/// # Errors
/// [`DbError`].
pub async fn insert_revocation(tx: &Tx, play: i64, now: i64, until: i64) -> Result<i64, DbError> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'revocation' RETURNING value";
    let number: i64 = tx.one(sql, args![]).await?.get(0)?;
    let sql = "INSERT INTO revocations (number, play, at, until) VALUES ($1, $2, $3, $4)";
    tx.run(sql, args![number, play, now, until]).await?;
    Ok(number)
}

/// The number of the newest entry; 0 when there was none.
///
/// # Errors
/// [`DbError`].
pub async fn newest_revocation(tx: &Tx) -> Result<i64, DbError> {
    tx.one("SELECT value FROM counters WHERE name = 'revocation'", args![]).await?.get(0)
}
