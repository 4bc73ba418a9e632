//! All that is known of an account, for its owner.

use segcast_api::accounts::AccountExport;

use super::{Caller, accounts, devices, ledger, orders, tickets};
use crate::app::{App, Outcome};
use crate::db::{DbError, Window};

/// Orders and tickets of an export, the newest. Who has more pages through the lists.
const ROWS: i64 = 200;

/// What is known of the caller.
///
/// # Errors
/// [`DbError`].
pub async fn export(app: &App, caller: &Caller) -> Result<Outcome<AccountExport>, DbError> {
    let account = match accounts::get(app, caller.id()).await? {
        Outcome::Done(account) => account.value,
        Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
    };
    Ok(Outcome::Done(AccountExport {
        account,
        balances: ledger::balance(app, caller).await?.balances,
        devices: devices::list(app, caller).await?,
        orders: orders::own(app, caller, Window::first(ROWS)).await?.items,
        tickets: tickets::list(app, caller, None, Window::first(ROWS)).await?.items,
    }))
}
