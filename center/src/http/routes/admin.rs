//! What operators, auditors and payment systems ask.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use segcast_api::accounts::Account;
use segcast_api::admin::{
    AdminAccountPatch, ApiKeyAnswer, ApiKeyRequest, Books, Event, Purse, RevocationAnswer,
    RevocationRequest, TopUpRequest, Transfer,
};
use segcast_api::page::{Page, PageQuery};
use segcast_api::problem::Code;
use segcast_api::value::Id;

use crate::app::App;
use crate::db::Window;
use crate::http::answer::{Done, Refusal, Sent, done, empty, revision, versioned};
use crate::http::call::{Asked, Call, Named};
use crate::http::op::{AUDITORS, Api, CASHIERS, OPERATORS, Op};
use crate::http::page;
use crate::service::{accounts, ledger, revocations, sessions, upkeep};

const ACCOUNTS: &str = "GET /v1/accounts";
const PURSES: &str = "GET /v1/purses";
const TRANSFERS: &str = "GET /v1/transfers";
const EVENTS: &str = "GET /v1/events";

pub(super) fn routes(api: Api) -> Api {
    let change = Op::new("PATCH /v1/accounts/{id}", "Changes role or state of an account")
        .by(OPERATORS)
        .matched()
        .takes::<AdminAccountPatch>()
        .gives::<Account>()
        .may(&[Code::Conflict]);
    let top_up = Op::new("POST /v1/accounts/{id}/top-ups", "Adds money that a payment system has")
        .by(CASHIERS)
        .once()
        .takes::<TopUpRequest>()
        .gives::<Transfer>()
        .may(&[Code::CurrencyUnknown, Code::Conflict]);
    let key = Op::new("POST /v1/api-keys", "Makes an API key; its secret is told once")
        .by(OPERATORS)
        .once()
        .takes::<ApiKeyRequest>()
        .gives::<ApiKeyAnswer>();
    let revoke = Op::new("POST /v1/revocations", "Withdraws plays")
        .by(OPERATORS)
        .once()
        .takes::<RevocationRequest>()
        .gives::<RevocationAnswer>()
        .may(&[Code::NotFound]);
    let books = Op::new("GET /v1/books", "Whether all adds up").by(AUDITORS).gives::<Books>();
    api.add(Op::new(ACCOUNTS, "All accounts").by(OPERATORS).lists::<Account>(), get(list))
        .add(
            Op::new("GET /v1/accounts/{id}", "An account").by(OPERATORS).gives::<Account>(),
            get(one),
        )
        .add(change, patch(self::change))
        .add(top_up, post(self::top_up))
        .add(key, post(self::key))
        .add(Op::new("DELETE /v1/api-keys/{id}", "Ends an API key").by(OPERATORS), delete(end_key))
        .add(revoke, post(self::revoke))
        .add(Op::new(PURSES, "All purses").by(AUDITORS).lists::<Purse>(), get(purses))
        .add(Op::new(TRANSFERS, "All transfers").by(AUDITORS).lists::<Transfer>(), get(transfers))
        .add(books, get(self::books))
        .add(
            Op::new(EVENTS, "What was done, oldest first").by(AUDITORS).lists::<Event>(),
            get(events),
        )
}

async fn list(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
    _: Call<()>,
) -> Done<Page<Account>> {
    let asked = (query.limit, &query.after);
    page::listed(&app, ACCOUNTS, asked, |window| accounts::list(&app, window)).await
}

async fn one(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<()>,
) -> Result<Response, Refusal> {
    versioned(accounts::get(&app, id.0.cast_signed()).await, &call.headers)
}

async fn change(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<AdminAccountPatch>,
) -> Result<Response, Refusal> {
    let rev = revision(&call.headers)?;
    let changed = accounts::change_other(&app, &call.caller, (id, rev), call.body).await;
    versioned(changed, &call.headers)
}

async fn top_up(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<TopUpRequest>,
) -> Done<Transfer> {
    done(ledger::top_up(&app, &call.caller, &call.guard, id, call.body).await)
}

async fn key(State(app): State<App>, call: Call<ApiKeyRequest>) -> Done<ApiKeyAnswer> {
    done(sessions::make_key(&app, &call.caller, &call.guard, call.body).await)
}

async fn end_key(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<()>,
) -> impl IntoResponse {
    empty(sessions::end_key(&app, &call.caller, id).await)
}

async fn revoke(State(app): State<App>, call: Call<RevocationRequest>) -> Done<RevocationAnswer> {
    done(revocations::revoke(&app, &call.caller, &call.guard, call.body).await)
}

async fn purses(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
    _: Call<()>,
) -> Done<Page<Purse>> {
    let asked = (query.limit, &query.after);
    page::listed(&app, PURSES, asked, |window| ledger::purses(&app, window)).await
}

async fn transfers(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
    _: Call<()>,
) -> Done<Page<Transfer>> {
    let asked = (query.limit, &query.after);
    page::listed(&app, TRANSFERS, asked, |window| ledger::transfers(&app, (0, i64::MAX), window))
        .await
}

async fn books(State(app): State<App>, _: Call<()>) -> Done<Books> {
    Ok(Sent(upkeep::books(&app).await?))
}

async fn events(
    State(app): State<App>,
    Asked(query): Asked<PageQuery>,
    _: Call<()>,
) -> Done<Page<Event>> {
    let (asked, is_first) = ((query.limit, &query.after), query.after.is_none());
    // A feed goes from the oldest on.
    let begin = |window: Window| if is_first { (0, 0) } else { window.after };
    page::listed(&app, EVENTS, asked, |window| upkeep::events(&app, begin(window), window.limit))
        .await
}
