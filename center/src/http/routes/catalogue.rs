//! Titles and their offers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use segcast_api::accounts::Role;
use segcast_api::catalogue::{
    Offer, OfferPatch, OfferRequest, TitleAnswer, TitlePatch, TitleQuery, TitleRequest,
};
use segcast_api::page::Page;
use segcast_api::problem::Code;
use segcast_api::value::{Id, Set};

use crate::app::{App, Outcome};
use crate::db::DbError;
use crate::http::answer::{Done, Refusal, done, empty, revision, versioned};
use crate::http::call::{Asked, Call, Named, Open};
use crate::http::op::{Api, OPERATORS, Op};
use crate::http::page;
use crate::service::{Caller, Versioned, catalogue, sets};

const LIST: &str = "GET /v1/titles";

const QUERY: &[(&str, &str)] = &[
    ("q", "What name or slug contain"),
    ("limit", "Items at most, 1 to 200; 50 unless told otherwise"),
    ("after", "`next` of the page before"),
];

pub(super) fn routes(api: Api) -> Api {
    let list = Op::new(LIST, "Titles, newest first; operators see all").query(QUERY);
    let title = Op::new("GET /v1/titles/{slug}", "A title, its newest set and offers");
    let make = Op::new("POST /v1/titles", "Makes a title").by(OPERATORS).once();
    let change = Op::new("PATCH /v1/titles/{slug}", "Changes a title").by(OPERATORS).matched();
    let offer = Op::new("POST /v1/titles/{slug}/offers", "Offers a title").by(OPERATORS).once();
    let end = Op::new("PATCH /v1/offers/{id}", "Ends an offer").by(OPERATORS).matched();
    let withdraw =
        Op::new("DELETE /v1/sets/{set}", "Withdraws a set: no new orders, plays, tokens");
    api.add(list.lists::<TitleAnswer>().may(SESSION), get(self::list))
        .add(title.gives::<TitleAnswer>().may(SESSION), get(self::title))
        .add(
            make.takes::<TitleRequest>().gives::<TitleAnswer>().may(&[Code::SlugTaken]),
            post(self::make),
        )
        .add(change.takes::<TitlePatch>().gives::<TitleAnswer>(), patch(self::change))
        .add(
            offer.takes::<OfferRequest>().gives::<Offer>().may(&[Code::CurrencyUnknown]),
            post(self::offer),
        )
        .add(end.takes::<OfferPatch>().gives::<Offer>(), patch(self::end))
        .add(withdraw.by(OPERATORS), delete(self::withdraw))
}

/// Who comes with a login though none is needed.
const SESSION: &[Code] = &[Code::Unauthenticated, Code::PasswordMustChange];

fn sees_all(caller: Option<&Caller>) -> bool {
    caller.is_some_and(|caller| caller.role == Role::Operator)
}

/// An answer whose revision is one of its fields.
fn with_rev<T>(
    outcome: Result<Outcome<T>, DbError>,
    rev: impl Fn(&T) -> u64,
) -> Result<Outcome<Versioned<T>>, DbError> {
    Ok(match outcome? {
        Outcome::Done(value) => Outcome::Done(Versioned { rev: rev(&value).cast_signed(), value }),
        Outcome::Refused(problem) => Outcome::Refused(problem),
    })
}

async fn list(
    State(app): State<App>,
    Asked(query): Asked<TitleQuery>,
    call: Open<()>,
) -> Done<Page<TitleAnswer>> {
    let word = query.q.unwrap_or_default();
    if word.chars().count() > 100 {
        return Err(Refusal::new(Code::Invalid, "q: at most 100 characters"));
    }
    let all = sees_all(call.caller.as_ref());
    let asked = (query.limit, &query.after);
    page::listed(&app, LIST, asked, |window| catalogue::titles(&app, &word, all, window)).await
}

async fn title(
    State(app): State<App>,
    Named(slug): Named<String>,
    headers: axum::http::HeaderMap,
    call: Open<()>,
) -> Result<Response, Refusal> {
    let all = sees_all(call.caller.as_ref());
    versioned(with_rev(catalogue::title(&app, &slug, all).await, |title| title.rev), &headers)
}

async fn make(State(app): State<App>, call: Call<TitleRequest>) -> Done<TitleAnswer> {
    done(catalogue::make_title(&app, &call.caller, &call.guard, call.body).await)
}

async fn change(
    State(app): State<App>,
    Named(slug): Named<String>,
    call: Call<TitlePatch>,
) -> Result<Response, Refusal> {
    let rev = revision(&call.headers)?;
    let changed = catalogue::change_title(&app, &call.caller, (&slug, rev), call.body).await;
    versioned(with_rev(changed, |title| title.rev), &call.headers)
}

async fn offer(
    State(app): State<App>,
    Named(slug): Named<String>,
    call: Call<OfferRequest>,
) -> Done<Offer> {
    done(catalogue::make_offer(&app, &call.caller, &call.guard, &slug, call.body).await)
}

async fn end(
    State(app): State<App>,
    Named(id): Named<Id>,
    call: Call<OfferPatch>,
) -> Result<Response, Refusal> {
    let rev = revision(&call.headers)?;
    let ended = catalogue::change_offer(&app, &call.caller, (id, rev), call.body).await;
    versioned(with_rev(ended, |offer| offer.rev), &call.headers)
}

async fn withdraw(
    State(app): State<App>,
    Named(set): Named<Set>,
    call: Call<()>,
) -> impl IntoResponse {
    empty(sets::withdraw(&app, &call.caller, set).await)
}
