//! Rights withdrawn: tickets, and plays with an entry each in the list that edges will read.

use segcast_api::admin as api;

use super::{Caller, DAY, Guard, fresh_id, record, row_id};
use crate::app::{App, Outcome};
use crate::db::plays::{self, Which};
use crate::db::{DbError, Tx};

/// Withdraws all that the given one leads to. What began before a time goes at most 1000 plays at once: it is asked
/// again until none is counted.
///
/// # Errors
/// [`DbError`].
pub async fn revoke(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::RevocationRequest,
) -> Result<Outcome<api::RevocationAnswer>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let revoke = async |tx: Tx| {
        let tx = &tx;
        let (which, what) = match request {
            api::RevocationRequest::Certificate(id) => {
                (Which::Serial(row_id(id)), format!("play {id}"))
            }
            api::RevocationRequest::Ticket(id) => {
                (Which::Ticket(row_id(id)), format!("ticket {id}"))
            }
            api::RevocationRequest::Device(id) => {
                (Which::Device(row_id(id)), format!("device {id}"))
            }
            api::RevocationRequest::Account(id) => {
                (Which::Account(row_id(id)), format!("account {id}"))
            }
            api::RevocationRequest::Before(time) => {
                (Which::Before(time.millis()), format!("before {time}"))
            }
        };
        withdraw_tickets(tx, which).await?;
        let numbers = withdraw_plays(app, tx, which, now).await?;
        record(tx, (entry, now), caller, "revocation", what, format!("{} plays", numbers.len()))
            .await?;
        let count = numbers.len() as u64;
        let number = plays::newest_revocation(tx).await?.cast_unsigned();
        Ok(Outcome::Done(api::RevocationAnswer { count, number }))
    };
    guard.run(app, caller.id(), (now, DAY), revoke).await
}

/// The tickets that go with the plays.
async fn withdraw_tickets(tx: &Tx, which: Which) -> Result<(), DbError> {
    match which {
        Which::Ticket(serial) => {
            plays::revoke_ticket(tx, serial).await?;
        }
        Which::Account(account) => {
            for order in plays::orders_of(tx, account).await? {
                for ticket in plays::lock_tickets(tx, order).await? {
                    plays::revoke_ticket(tx, ticket).await?;
                }
            }
        }
        Which::Serial(_) | Which::Device(_) | Which::Before(_) => {}
    }
    Ok(())
}

/// Withdraws tickets and plays of orders.
pub(super) async fn withdraw_orders(
    app: &App,
    tx: &Tx,
    orders: &[i64],
    now: i64,
) -> Result<(), DbError> {
    for order in orders {
        for ticket in plays::lock_tickets(tx, *order).await? {
            plays::revoke_ticket(tx, ticket).await?;
            withdraw_plays(app, tx, Which::Ticket(ticket), now).await?;
        }
    }
    Ok(())
}

/// Withdraws plays; the numbers of their entries. An entry stays until the last token of the play, and its grace, has
/// ended.
async fn withdraw_plays(app: &App, tx: &Tx, which: Which, now: i64) -> Result<Vec<i64>, DbError> {
    let lasts = (app.settings.token_lifetime + app.settings.grace).as_millis();
    let until = now.saturating_add(i64::try_from(lasts).unwrap_or(DAY));
    let mut numbers = Vec::new();
    for play in plays::revoke_certificates(tx, which).await? {
        numbers.push(plays::insert_revocation(tx, play, now, until).await?);
    }
    Ok(numbers)
}
