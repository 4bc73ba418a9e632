//! Refunds: money goes back, and with all of it the right.

use segcast_api::accounts::Role;
use segcast_api::orders as api;
use segcast_api::problem::Code;
use segcast_api::value::Id;

use super::orders::answer;
use super::refusal::{invalid, refuse};
use super::revocations::withdraw_orders;
use super::{Caller, DAY, Guard, fresh_id, id, record, row_id};
use crate::app::{App, Outcome};
use crate::db::ledger::{self, Transfer};
use crate::db::orders::{self, Order};
use crate::db::{DbError, Tx, plays};

/// How long a customer may give an order back.
const RETURN_WITHIN: i64 = 14 * DAY;

/// Refunds an order: a part of it by operators; by its customer all of it, unplayed, within 14 days.
///
/// # Errors
/// [`DbError`].
pub async fn refund(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    order: Id,
    request: api::RefundRequest,
) -> Result<Outcome<api::Order>, DbError> {
    let now = app.clock.now();
    let (transfer, purses, entry) = (fresh_id()?, [fresh_id()?, fresh_id()?], fresh_id()?);
    let refund = async |tx: Tx| {
        let tx = &tx;
        let found = orders::lock(tx, row_id(order)).await?;
        let may = |order: &Order| order.account == caller.id() || caller.role == Role::Operator;
        let Some(found) = found.filter(may) else {
            return Ok(refuse(Code::NotFound, "no such order"));
        };
        let amount = match amount(tx, caller, &request, &found, now).await? {
            Outcome::Done(amount) => amount,
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        };
        let Some(number) = orders::refund(tx, found.id, amount).await? else {
            return Ok(refuse(Code::RefundTooMuch, "less than that is left of the price"));
        };
        if found.refunded + amount == found.price {
            withdraw_orders(app, tx, &[found.id], now).await?;
        }
        if amount > 0 {
            pay_back(tx, &found, amount, (transfer, number, purses), now).await?;
        }
        let detail = format!("{amount} {} {}", found.currency, request.reason);
        record(tx, (entry, now), caller, "refund", order.to_string(), detail).await?;
        let order = orders::by_id(tx, found.id).await?;
        Ok(Outcome::Done(answer(&order.ok_or(DbError::Row("an order went while it was locked"))?)?))
    };
    guard.run(app, caller.id(), (now, DAY), refund).await
}

/// How much goes back, if it may. Nothing has been written yet: a refusal commits.
async fn amount(
    tx: &Tx,
    caller: &Caller,
    request: &api::RefundRequest,
    order: &Order,
    now: i64,
) -> Result<Outcome<i64>, DbError> {
    let left = order.price - order.refunded;
    let amount = request.amount.map_or(left, |amount| amount.minor);
    if request.amount.is_some_and(|amount| amount.currency.to_string() != order.currency) {
        return Ok(invalid("/amount/currency", "that of the order"));
    }
    if order.state == "refunded" || amount > left {
        return Ok(refuse(
            Code::RefundTooMuch,
            format!("{left} minor units are left of the price"),
        ));
    }
    if amount < 1 && order.price > 0 {
        return Ok(invalid("/amount/minor", "1 or more"));
    }
    if caller.role == Role::Operator {
        return Ok(Outcome::Done(amount));
    }
    if amount != order.price {
        return Ok(refuse(Code::Forbidden, "customers give an order back as a whole"));
    }
    if now > order.created + RETURN_WITHIN {
        return Ok(refuse(Code::RefundLate, "an order can be given back for 14 days"));
    }
    for ticket in plays::lock_tickets(tx, order.id).await? {
        if plays::was_played(tx, ticket).await? {
            return Ok(refuse(Code::AlreadyPlayed, "it was played"));
        }
    }
    Ok(Outcome::Done(amount))
}

async fn pay_back(
    tx: &Tx,
    order: &Order,
    amount: i64,
    (transfer, number, purses): (i64, i64, [i64; 2]),
    now: i64,
) -> Result<(), DbError> {
    let credit = ledger::purse(tx, purses[0], ("customer", order.account), &order.currency).await?;
    let debit = ledger::purse(tx, purses[1], ("sales", 0), &order.currency).await?;
    let transfer = Transfer {
        id: transfer,
        debit,
        credit,
        amount,
        currency: order.currency.clone(),
        kind: "refund".to_owned(),
        order: Some(order.id),
        reference: format!("{} {number}", id(order.id)),
        created: now,
    };
    if !ledger::transfer(tx, &transfer).await? {
        return Err(DbError::Row("a refund has the number of another"));
    }
    ledger::give(tx, credit, amount).await?;
    Ok(())
}
