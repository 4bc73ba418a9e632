//! Balance, orders, refunds.

use axum::extract::State;
use axum::routing::{get, post};
use segcast_api::accounts::Balance;
use segcast_api::orders::{Order, OrderAnswer, OrderRequest, RefundRequest};
use segcast_api::page::{Page, PageQuery};
use segcast_api::problem::Code;
use segcast_api::value::Id;

use crate::app::App;
use crate::http::answer::{Done, Sent, done};
use crate::http::call::{Asked, Call, Named};
use crate::http::op::{Api, CUSTOMERS, MINUTE, Op};
use crate::http::page;
use crate::service::{ledger, orders, refunds};

const LIST: &str = "GET /v1/orders";

pub(super) fn routes(api: Api) -> Api {
    let order = Op::new("POST /v1/orders", "Orders a title: takes its price, gives a ticket")
        .by(CUSTOMERS)
        .once()
        .takes::<OrderRequest>()
        .gives::<OrderAnswer>()
        .rate(30, MINUTE)
        .may(&[Code::OfferGone, Code::InsufficientFunds, Code::SetNotReady]);
    let refund =
        Op::new("POST /v1/orders/{id}/refund", "Gives money back, and withdraws what was ordered")
            .by(CUSTOMERS)
            .once()
            .takes::<RefundRequest>()
            .gives::<Order>()
            .may(&[
                Code::RefundTooMuch,
                Code::AlreadyPlayed,
                Code::RefundLate,
                Code::Forbidden,
                Code::Conflict,
            ]);
    api.add(
        Op::new("GET /v1/balance", "What is left to spend").by(CUSTOMERS).gives::<Balance>(),
        get(balance),
    )
    .add(order, post(self::order))
    .add(Op::new(LIST, "Orders, newest first").by(CUSTOMERS).lists::<Order>(), get(list))
    .add(Op::new("GET /v1/orders/{id}", "An order").by(CUSTOMERS).gives::<Order>(), get(one))
    .add(refund, post(self::refund))
}

async fn balance(State(app): State<App>, call: Call<()>) -> Done<Balance> {
    Ok(Sent(ledger::balance(&app, &call.caller).await?))
}

async fn order(State(app): State<App>, call: Call<OrderRequest>) -> Done<OrderAnswer> {
    done(orders::order(&app, &call.caller, &call.guard, call.body).await)
}

async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
    call: Call<()>,
) -> Done<Page<Order>> {
    let asked = (query.limit, &query.after);
    page::listed(&app, LIST, asked, |window| orders::list(&app, &call.caller, window)).await
}

async fn one(State(app): State<App>, Named(id): Named<Id>, call: Call<()>) -> Done<Order> {
    done(orders::get(&app, &call.caller, id).await)
}

async fn refund(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<RefundRequest>,
) -> Done<Order> {
    done(refunds::refund(&app, &call.caller, &call.guard, id, call.body).await)
}
