//! Money: balances and top-ups of customers, and what auditors read.

use segcast_api::accounts::Balance;
use segcast_api::admin as api;
use segcast_api::problem::Code;
use segcast_api::value::{Id, Timestamp};

use super::refusal::{invalid, refuse};
use super::{Caller, DAY, Guard, Listed, fresh_id, id, money, record, row_id, text_of, word};
use crate::app::{App, Outcome};
use crate::db::ledger::{self, Purse, Transfer};
use crate::db::{DbError, Tx, Window, accounts};

/// The most that one top-up brings, minor units.
const TOP_UP_MOST: i64 = 1_000_000_000;

/// What the caller has, in each currency.
///
/// # Errors
/// [`DbError`].
pub async fn balance(app: &App, caller: &Caller) -> Result<Balance, DbError> {
    let rows = ledger::balances(&app.db.read().await?, caller.id()).await?;
    let balances = rows.iter().map(|(minor, currency)| money(*minor, currency));
    Ok(Balance { balances: balances.collect::<Result<_, _>>()? })
}

/// Brings a customer money that a payment system took. A reference that is known gives its first answer again.
///
/// # Errors
/// [`DbError`].
pub async fn top_up(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    account: Id,
    request: api::TopUpRequest,
) -> Result<Outcome<api::Transfer>, DbError> {
    let amount = request.amount;
    if !(1..=TOP_UP_MOST).contains(&amount.minor) {
        return Ok(invalid("/amount/minor", "1 to 1000000000"));
    }
    if !app.settings.currencies.contains(&amount.currency) {
        return Ok(refuse(Code::CurrencyUnknown, format!("{} is not taken here", amount.currency)));
    }
    let (now, currency) = (app.clock.now(), amount.currency.to_string());
    let (transfer, entry, purses) = (fresh_id()?, fresh_id()?, [fresh_id()?, fresh_id()?]);
    let top_up = async |tx: Tx| {
        let tx = &tx;
        let holder = accounts::by_id(tx, row_id(account)).await?;
        if holder.is_none_or(|holder| holder.state == "closed") {
            return Ok(refuse(Code::NotFound, "no such account"));
        }
        let credit = ledger::purse(tx, purses[0], ("customer", row_id(account)), &currency).await?;
        let transfer = Transfer {
            id: transfer,
            debit: ledger::purse(tx, purses[1], ("clearing", 0), &currency).await?,
            credit,
            amount: amount.minor,
            currency: currency.clone(),
            kind: text_of(api::TransferKind::TopUp),
            order: None,
            reference: request.reference.to_string(),
            created: now,
        };
        if !ledger::transfer(tx, &transfer).await? {
            let known = ledger::by_reference(tx, &transfer.kind, &transfer.reference).await?;
            if (known.credit, known.amount) == (transfer.credit, transfer.amount) {
                return Ok(Outcome::Done(transfer_answer(&known)?));
            }
            return Ok(refuse(
                Code::Conflict,
                "this reference brought another amount or account money",
            ));
        }
        ledger::give(tx, credit, amount.minor).await?;
        record(tx, (entry, now), caller, "top-up", account.to_string(), amount.to_string()).await?;
        Ok(Outcome::Done(transfer_answer(&transfer)?))
    };
    guard.run(app, caller.id(), (now, DAY), top_up).await
}

/// All purses by id, from the one after `after`.
///
/// # Errors
/// [`DbError`].
pub async fn purses(app: &App, window: Window) -> Result<Listed<api::Purse>, DbError> {
    let after = if window.after == Window::first(0).after { 0 } else { window.after.1 };
    let connection = &app.db.read().await?;
    let rows = ledger::purses(connection, after, window.limit + 1).await?;
    let answer = |purse: &Purse| {
        Ok(api::Purse {
            id: id(purse.id),
            kind: word(&purse.kind)?,
            account: purse.owner.map(id),
            balance: money(purse.balance, &purse.currency)?,
        })
    };
    Listed::of(rows, window.limit, |purse| (0, purse.id), answer)
}

/// Transfers made in `[from, to)` (Unix time, ms), newest first.
///
/// # Errors
/// [`DbError`].
pub async fn transfers(
    app: &App,
    between: (i64, i64),
    window: Window,
) -> Result<Listed<api::Transfer>, DbError> {
    let connection = &app.db.read().await?;
    let rows = ledger::transfers(connection, between, window.and_one()).await?;
    Listed::of(rows, window.limit, |transfer| (transfer.created, transfer.id), transfer_answer)
}

fn transfer_answer(transfer: &Transfer) -> Result<api::Transfer, DbError> {
    Ok(api::Transfer {
        id: id(transfer.id),
        debit: id(transfer.debit),
        credit: id(transfer.credit),
        amount: money(transfer.amount, &transfer.currency)?,
        kind: word(&transfer.kind)?,
        order: transfer.order.map(id),
        reference: transfer.reference.clone(),
        created: Timestamp::from_millis(transfer.created),
    })
}
