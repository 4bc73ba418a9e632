//! What auditors look at, and what is due from time to time.

use segcast_api::admin as api;
use segcast_api::value::Timestamp;

use super::{Listed, id};
use crate::app::{App, Outcome};
use crate::db::audit::{self, Event};
use crate::db::{DbError, Tx, upkeep};

/// Events are shown once they are this old, ms: an older one that is still being committed is there by then, since no
/// transaction lasts over 5 s and clocks differ by 2 s at most.
const EVENTS_LAG: i64 = 15_000;

/// Events after a place, oldest first. The last one's place is always there: the feed goes on.
///
/// # Errors
/// [`DbError`].
pub async fn events(
    app: &App,
    after: (i64, i64),
    limit: i64,
) -> Result<Listed<api::Event>, DbError> {
    let until = app.clock.now() - EVENTS_LAG;
    let rows = audit::after(&app.db.read().await?, after, until, limit).await?;
    let next = rows.last().map(|event| (event.at, event.id)).or(Some(after));
    let answer = |event: Event| api::Event {
        id: id(event.id),
        at: Timestamp::from_millis(event.at),
        actor: event.actor.map(id),
        action: event.action,
        object: event.object,
        request_id: event.request_id,
        network: event.network,
        detail: event.detail,
    };
    Ok(Listed { items: rows.into_iter().map(answer).collect(), next })
}

/// Whether the books balance.
///
/// # Errors
/// [`DbError`].
pub async fn books(app: &App) -> Result<api::Books, DbError> {
    let books = upkeep::books(&app.db.read().await?).await?;
    Ok(api::Books {
        balanced: books.wrong_purses.is_empty() && books.wrong_orders.is_empty(),
        transfers: books.transfers.cast_unsigned(),
        wrong_purses: books.wrong_purses.into_iter().map(id).collect(),
        wrong_orders: books.wrong_orders.into_iter().map(id).collect(),
    })
}

/// Removes rows whose time has passed, at most 500 of each table; how many went.
///
/// # Errors
/// [`DbError`].
pub async fn purge(app: &App) -> Result<usize, DbError> {
    let now = app.clock.now();
    let purge = async |tx: Tx| Ok(Outcome::Done(upkeep::purge(&tx, now).await?));
    match app.db.write(purge).await? {
        Outcome::Done(gone) => Ok(gone),
        Outcome::Refused(_) => Ok(0),
    }
}
