//! Orders: an offer, paid from the purse, becomes a ticket.

use segcast_api::accounts::Role;
use segcast_api::orders as api;
use segcast_api::problem::{Code, More, Problem};
use segcast_api::value::{Id, Money, Set, Timestamp};
use segcast_proto::ids::SetId;

use super::refusal::refuse;
use super::tickets::{Drawn, Maker};
use super::{Caller, DAY, Guard, Listed, fresh_id, id, money, record, row_id, text_of, word};
use crate::app::{App, Outcome};
use crate::db::catalogue::{Offer, Title};
use crate::db::ledger::{self, Transfer};
use crate::db::orders::{self, Order};
use crate::db::plays::Ticket;
use crate::db::{DbError, Tx, Window, catalogue};

/// Orders what is offered.
///
/// # Errors
/// [`DbError`].
pub async fn order(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::OrderRequest,
) -> Result<Outcome<api::OrderAnswer>, DbError> {
    let account = caller.id();
    let now = app.clock.now();
    let (order, transfer, sales, entry) = (fresh_id()?, fresh_id()?, fresh_id()?, fresh_id()?);
    let drawn = Drawn::new()?;
    let buy = async |tx: Tx| {
        let tx = &tx;
        let (offer, set, title) = match offered(tx, row_id(request.offer), now).await? {
            Outcome::Done(found) => found,
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        };
        let Some(maker) = Maker::of(app, tx, set).await? else {
            return Ok(refuse(Code::SetNotReady, "the title has nothing to deliver"));
        };
        let debit = match pay(tx, account, &offer).await? {
            Outcome::Done(debit) => debit,
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        };
        let new = new_order(order, account, &offer, (set, &title.slug), now);
        orders::insert(tx, &new).await?;
        if let Some(debit) = debit {
            let credit = ledger::purse(tx, sales, ("sales", 0), &offer.currency).await?;
            ledger::transfer(tx, &paid(transfer, &new, (debit, credit))).await?;
        }
        let ticket = maker.write(tx, &first_ticket(&new, &offer, title.name), &drawn).await?;
        record(tx, (entry, now), caller, "order", id(order).to_string(), title.slug).await?;
        Ok(Outcome::Done(api::OrderAnswer { order: answer(&new)?, ticket }))
    };
    guard.run(app, caller.id(), (now, DAY), buy).await
}

/// An offer that is valid now, and its title's newest set and slug.
async fn offered(tx: &Tx, offer: i64, now: i64) -> Result<Outcome<(Offer, SetId, Title)>, DbError> {
    let is_valid = |offer: &Offer| {
        offer.valid_from <= now && offer.valid_until.is_none_or(|until| until > now)
    };
    let gone = || refuse(Code::OfferGone, "this offer is not, or no longer, valid");
    let offer = catalogue::offer_by_id(tx, offer).await?.filter(is_valid);
    let Some(offer) = offer else { return Ok(gone()) };
    let title = catalogue::by_id(tx, offer.title).await?;
    let Some(title) = title.filter(|title| title.state == "listed") else { return Ok(gone()) };
    Ok(match &title.newest {
        Some(ready) => Outcome::Done((offer, ready.set, title)),
        None => refuse(Code::SetNotReady, "the title has nothing to deliver"),
    })
}

/// Takes the price from the account's purse; none when there is none.
async fn pay(tx: &Tx, account: i64, offer: &Offer) -> Result<Outcome<Option<i64>>, DbError> {
    if offer.price == 0 {
        return Ok(Outcome::Done(None));
    }
    if let Some(purse) = ledger::pay(tx, account, offer.price, &offer.currency).await? {
        return Ok(Outcome::Done(Some(purse)));
    }
    let balances = ledger::balances(tx, account).await?;
    let present = balances.iter().find(|(_, currency)| *currency == offer.currency);
    let needed = money(offer.price, &offer.currency)?;
    let present = Money { minor: present.map_or(0, |(minor, _)| *minor), ..needed };
    let detail = format!("it costs {needed}, the balance is {present}");
    let more = More { needed: Some(needed), present: Some(present), ..More::default() };
    Ok(Outcome::Refused(Problem::new(Code::InsufficientFunds, detail).with(more)))
}

fn new_order(
    order: i64,
    account: i64,
    offer: &Offer,
    (set, slug): (SetId, &str),
    now: i64,
) -> Order {
    Order {
        id: order,
        account,
        offer: offer.id,
        set,
        price: offer.price,
        currency: offer.currency.clone(),
        refunded: 0,
        refunds: 0,
        state: text_of(api::OrderState::Paid),
        created: now,
        slug: slug.to_owned(),
    }
}

fn paid(transfer: i64, order: &Order, (debit, credit): (i64, i64)) -> Transfer {
    Transfer {
        id: transfer,
        debit,
        credit,
        amount: order.price,
        currency: order.currency.clone(),
        kind: "order".to_owned(),
        order: Some(order.id),
        reference: id(order.id).to_string(),
        created: order.created,
    }
}

/// The ticket of an order; serial and key part are the maker's.
fn first_ticket(order: &Order, offer: &Offer, name: String) -> Ticket {
    Ticket {
        serial: 0,
        account: order.account,
        order: order.id,
        parent: None,
        set: order.set,
        plays: offer.plays,
        play_window: offer.play_window,
        created: order.created,
        expires: offer.start_within.map(|span| order.created + span),
        state: "live".to_owned(),
        k1: Vec::new(),
        slug: order.slug.clone(),
        name,
    }
}

fn sees_all(caller: &Caller) -> bool {
    matches!(caller.role, Role::Operator | Role::Auditor)
}

/// Orders of the caller, or as an operator or auditor of all, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(
    app: &App,
    caller: &Caller,
    window: Window,
) -> Result<Listed<api::Order>, DbError> {
    if !sees_all(caller) {
        return own(app, caller, window).await;
    }
    page(app, 0, window).await
}

/// Orders of the caller, newest first.
pub(super) async fn own(
    app: &App,
    caller: &Caller,
    window: Window,
) -> Result<Listed<api::Order>, DbError> {
    page(app, caller.id(), window).await
}

/// Orders of an account, or of all (0).
async fn page(app: &App, account: i64, window: Window) -> Result<Listed<api::Order>, DbError> {
    let rows = orders::list(&app.db.read().await?, account, window.and_one()).await?;
    Listed::of(rows, window.limit, |order| (order.created, order.id), answer)
}

/// An order of the caller's, or as an operator or auditor any.
///
/// # Errors
/// [`DbError`].
pub async fn get(app: &App, caller: &Caller, order: Id) -> Result<Outcome<api::Order>, DbError> {
    let found = orders::by_id(&app.db.read().await?, row_id(order)).await?;
    let may = |order: &Order| order.account == caller.id() || sees_all(caller);
    match found.filter(may) {
        Some(order) => Ok(Outcome::Done(answer(&order)?)),
        None => Ok(refuse(Code::NotFound, "no such order")),
    }
}

pub(super) fn answer(order: &Order) -> Result<api::Order, DbError> {
    Ok(api::Order {
        id: id(order.id),
        account: id(order.account),
        title: order.slug.clone(),
        offer: id(order.offer),
        set: Set(order.set),
        price: money(order.price, &order.currency)?,
        refunded: money(order.refunded, &order.currency)?,
        state: word(&order.state)?,
        created: Timestamp::from_millis(order.created),
    })
}
