//! Tickets, validations, tokens, edges.

use axum::extract::State;
use axum::routing::{get, post};
use segcast_api::page::Page;
use segcast_api::problem::Code;
use segcast_api::tickets::{Ticket, TicketQuery, ValidationAnswer, ValidationRequest};
use segcast_api::tokens::{EdgesAnswer, TokenAnswer, TokenRequest};
use segcast_api::value::{Id, Set};

use crate::app::App;
use crate::http::answer::{Done, done};
use crate::http::call::{Asked, Call, Named};
use crate::http::op::{Api, CUSTOMERS, MINUTE, Op};
use crate::http::page;
use crate::service::{tickets, tokens, validations};

const LIST: &str = "GET /v1/tickets";

const QUERY: &[(&str, &str)] = &[
    ("state", "live, spent or revoked"),
    ("limit", "Items at most, 1 to 200; 50 unless told otherwise"),
    ("after", "`next` of the page before"),
];

pub(super) fn routes(api: Api) -> Api {
    let list = Op::new(LIST, "Tickets, newest first").by(CUSTOMERS).query(QUERY);
    let one = Op::new("GET /v1/tickets/{serial}", "A ticket, made anew").by(CUSTOMERS);
    let validate = Op::new("POST /v1/validations", "Spends a play: gives a certificate")
        .by(CUSTOMERS)
        .once()
        .takes::<ValidationRequest>()
        .gives::<ValidationAnswer>()
        .rate(30, MINUTE)
        .may(&[
            Code::TicketInvalid,
            Code::TicketUnknown,
            Code::TicketSpent,
            Code::TicketExpired,
            Code::TicketRevoked,
            Code::DeviceRevoked,
            Code::SetNotReady,
            Code::NotFound,
        ]);
    let token = Op::new(
        "POST /v1/tokens",
        "A token for 1 to 16 certificates of one device, first or renewed",
    )
    .by(CUSTOMERS)
    .takes::<TokenRequest>()
    .gives::<TokenAnswer>()
    .rate(60, MINUTE)
    .may(&[
        Code::CertificateExpired,
        Code::CertificateRevoked,
        Code::WrongDevice,
        Code::DeviceRevoked,
        Code::NotFound,
        Code::SetNotReady,
    ]);
    let edges = Op::new("GET /v1/sets/{set}/edges", "Who delivers a set").by(CUSTOMERS);
    api.add(list.lists::<Ticket>(), get(self::list))
        .add(one.gives::<Ticket>().may(&[Code::TicketUnknown]), get(self::one))
        .add(validate, post(self::validate))
        .add(token, post(self::token))
        .add(edges.gives::<EdgesAnswer>().may(&[Code::SetNotReady]), get(self::edges))
}

async fn list(
    State(app): State<App>,
    Asked(query): Asked<TicketQuery>,
    call: Call<()>,
) -> Done<Page<Ticket>> {
    let asked = (query.limit, &query.after);
    page::listed(&app, LIST, asked, |window| tickets::list(&app, &call.caller, query.state, window))
        .await
}

async fn one(State(app): State<App>, Named(serial): Named<Id>, call: Call<()>) -> Done<Ticket> {
    done(tickets::get(&app, &call.caller, serial).await)
}

async fn validate(State(app): State<App>, call: Call<ValidationRequest>) -> Done<ValidationAnswer> {
    done(validations::validate(&app, &call.caller, &call.guard, call.body).await)
}

async fn token(State(app): State<App>, call: Call<TokenRequest>) -> Done<TokenAnswer> {
    done(tokens::issue(&app, &call.caller, &call.guard, call.body).await)
}

async fn edges(State(app): State<App>, Named(set): Named<Set>, _: Call<()>) -> Done<EdgesAnswer> {
    done(tokens::edges(&app, set).await)
}
