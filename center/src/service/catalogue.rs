//! Titles, what is offered of them, and their sets.

use segcast_api::catalogue as api;
use segcast_api::problem::{Code, Problem};
use segcast_api::value::{Bytes, Id, Money, Set, Timestamp};

use super::refusal::{invalid, refuse};
use super::{
    Caller, DAY, Guard, Listed, fresh_id, id, money, random, record, row_id, text_of, word,
};
use crate::app::{App, Outcome};
use crate::db::catalogue::{self, Offer, ReadySet, Title};
use crate::db::{DbError, Tx, Window};

/// Milliseconds of a second, in which the interface gives spans.
const SECOND: i64 = 1000;

/// The longest span of an offer: ten years, s.
const SPAN_MOST: u32 = 3660 * 24 * 3600;

/// The highest price, minor units: sums of a million of them stay far from 2^63.
const PRICE_MOST: i64 = 1_000_000_000;

/// Makes a title, a draft until it is listed.
///
/// # Errors
/// [`DbError`].
pub async fn make_title(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::TitleRequest,
) -> Result<Outcome<api::TitleAnswer>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let title = Title {
        id: fresh_id()?,
        number: random()?,
        slug: request.slug.to_string(),
        name: request.name.to_string(),
        synopsis: request.synopsis.map_or_else(String::new, |text| text.to_string()),
        state: text_of(api::TitleState::Draft),
        created: now,
        rev: 1,
        newest: None,
    };
    let make = async |tx: Tx| {
        let tx = &tx;
        if !catalogue::insert_title(tx, &title).await? {
            return Ok(refuse(Code::SlugTaken, format!("there is a title {}", title.slug)));
        }
        record(tx, (entry, now), caller, "title-made", title.slug.clone(), title.name.clone())
            .await?;
        Ok(Outcome::Done(answer(&title, &[])?))
    };
    guard.run(app, caller.id(), (now, DAY), make).await
}

/// Changes a title, which was read at revision `rev`.
///
/// # Errors
/// [`DbError`].
pub async fn change_title(
    app: &App,
    caller: &Caller,
    (slug, rev): (&str, i64),
    patch: api::TitlePatch,
) -> Result<Outcome<api::TitleAnswer>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let write = async |tx: Tx| {
        let tx = &tx;
        let Some(title) = catalogue::by_slug(tx, slug).await? else {
            return Ok(refuse(Code::NotFound, "no such title"));
        };
        let changed = Title {
            name: patch.name.as_ref().map_or(title.name, ToString::to_string),
            synopsis: patch.synopsis.as_ref().map_or(title.synopsis, ToString::to_string),
            state: patch.state.map_or(title.state, text_of),
            rev,
            ..title
        };
        if !catalogue::update_title(tx, &changed).await? {
            return Ok(refuse(Code::PreconditionFailed, "it was changed since it was read"));
        }
        let detail = changed.state.clone();
        record(tx, (entry, now), caller, "title-changed", slug.to_owned(), detail).await?;
        let offers = catalogue::offers_of(tx, changed.id, now).await?;
        Ok(Outcome::Done(answer(&Title { rev: rev + 1, ..changed }, &offers)?))
    };
    app.db.write(write).await
}

/// A title with what may be ordered of it: a listed one, or any where `all`.
///
/// # Errors
/// [`DbError`].
pub async fn title(app: &App, slug: &str, all: bool) -> Result<Outcome<api::TitleAnswer>, DbError> {
    let connection = &app.db.read().await?;
    let title = catalogue::by_slug(connection, slug).await?;
    let Some(title) = title.filter(|title| all || title.state == "listed") else {
        return Ok(refuse(Code::NotFound, "no such title"));
    };
    let offers = catalogue::offers_of(connection, title.id, app.clock.now()).await?;
    Ok(Outcome::Done(answer(&title, &offers)?))
}

/// Titles whose name or slug contains a text, newest first: the listed ones, or all.
///
/// # Errors
/// [`DbError`].
pub async fn titles(
    app: &App,
    contains: &str,
    all: bool,
    window: Window,
) -> Result<Listed<api::TitleAnswer>, DbError> {
    let connection = &app.db.read().await?;
    let rows = catalogue::list(connection, contains, all, window.and_one()).await?;
    let mut found = Vec::with_capacity(rows.len());
    for title in rows {
        let offers = catalogue::offers_of(connection, title.id, app.clock.now()).await?;
        found.push((title, offers));
    }
    Listed::of(
        found,
        window.limit,
        |(title, _)| (title.created, title.id),
        |(title, offers)| answer(title, offers),
    )
}

/// Offers a title.
///
/// # Errors
/// [`DbError`].
pub async fn make_offer(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    slug: &str,
    request: api::OfferRequest,
) -> Result<Outcome<api::Offer>, DbError> {
    let now = app.clock.now();
    let offer = match checked(app, &request, now)? {
        Outcome::Done(offer) => offer,
        Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
    };
    let entry = fresh_id()?;
    let make = async |tx: Tx| {
        let tx = &tx;
        let Some(title) = catalogue::by_slug(tx, slug).await? else {
            return Ok(refuse(Code::NotFound, "no such title"));
        };
        catalogue::insert_offer(tx, &Offer { title: title.id, ..offer.clone() }).await?;
        let detail = format!("{} of {slug} for {}", offer.kind, request.price);
        record(tx, (entry, now), caller, "offer-made", id(offer.id).to_string(), detail).await?;
        Ok(Outcome::Done(offer_answer(&offer)?))
    };
    guard.run(app, caller.id(), (now, DAY), make).await
}

/// The offer of a request, if its parts go together.
fn checked(app: &App, request: &api::OfferRequest, now: i64) -> Result<Outcome<Offer>, DbError> {
    if let Some((pointer, right)) = fault(request) {
        return Ok(invalid(pointer, right));
    }
    if let Some(problem) = wrong_price(app, request.kind, request.price) {
        return Ok(Outcome::Refused(problem));
    }
    let valid_from = request.valid_from.map_or(now, Timestamp::millis);
    let valid_until = request.valid_until.map(Timestamp::millis);
    if valid_until.is_some_and(|until| until <= valid_from) {
        return Ok(invalid("/valid_until", "later than valid_from"));
    }
    let span = |seconds: u32| i64::from(seconds) * SECOND;
    Ok(Outcome::Done(Offer {
        id: fresh_id()?,
        title: 0,
        kind: text_of(request.kind),
        plays: request.plays.map(i64::from),
        start_within: request.start_within.map(span),
        play_window: request.play_window.map(span),
        price: request.price.minor,
        currency: request.price.currency.to_string(),
        valid_from,
        valid_until,
        created: now,
        rev: 1,
    }))
}

/// Which field of an offer cannot be so, and what would be right.
fn fault(request: &api::OfferRequest) -> Option<(&'static str, &'static str)> {
    let is_span = |span: Option<u32>| span.is_none_or(|span| (1..=SPAN_MOST).contains(&span));
    if request.plays.is_some_and(|plays| plays == 0 || plays == u16::MAX) {
        return Some(("/plays", "1 to 65534"));
    }
    if !is_span(request.start_within) {
        return Some(("/start_within", "1 s to ten years"));
    }
    if !is_span(request.play_window) {
        return Some(("/play_window", "1 s to ten years"));
    }
    if request.start_within.is_some() && request.plays.is_none() {
        return Some(("/start_within", "only where plays are counted"));
    }
    let has_bounds = request.plays.is_some() || request.play_window.is_some();
    (request.kind == api::OfferKind::Purchase && has_bounds)
        .then_some(("/kind", "a purchase has neither plays nor a play window"))
}

/// Free costs nothing, and all else something, in a currency that is taken.
fn wrong_price(app: &App, kind: api::OfferKind, price: Money) -> Option<Problem> {
    if !app.settings.currencies.contains(&price.currency) {
        let detail = format!("{} is not taken here", price.currency);
        return Some(Problem::new(Code::CurrencyUnknown, detail));
    }
    match kind {
        api::OfferKind::Free if price.minor == 0 => None,
        api::OfferKind::Free => Some(Problem::field("/price/minor", "0: it is free")),
        _ if (1..=PRICE_MOST).contains(&price.minor) => None,
        _ => Some(Problem::field("/price/minor", "1 to 1000000000; 0 only where kind is free")),
    }
}

/// Ends an offer, which was read at revision `rev`, at a time. What was ordered stays as it was.
///
/// # Errors
/// [`DbError`].
pub async fn change_offer(
    app: &App,
    caller: &Caller,
    (offer, rev): (Id, i64),
    patch: api::OfferPatch,
) -> Result<Outcome<api::Offer>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let write = async |tx: Tx| {
        let tx = &tx;
        let Some(old) = catalogue::offer_by_id(tx, row_id(offer)).await? else {
            return Ok(refuse(Code::NotFound, "no such offer"));
        };
        let valid_until = patch.valid_until.map(Timestamp::millis).or(old.valid_until);
        if !catalogue::end_offer(tx, old.id, rev, valid_until).await? {
            return Ok(refuse(Code::PreconditionFailed, "it was changed since it was read"));
        }
        record(tx, (entry, now), caller, "offer-changed", offer.to_string(), String::new()).await?;
        Ok(Outcome::Done(offer_answer(&Offer { valid_until, rev: rev + 1, ..old })?))
    };
    app.db.write(write).await
}

fn answer(title: &Title, offers: &[Offer]) -> Result<api::TitleAnswer, DbError> {
    let set = |ready: &ReadySet| api::SetAnswer {
        set: Set(ready.set),
        length: ready.length.cast_unsigned(),
        page0_digest: Bytes::from(ready.page0_digest),
    };
    Ok(api::TitleAnswer {
        slug: title.slug.clone(),
        number: Bytes::from(title.number),
        name: title.name.clone(),
        synopsis: title.synopsis.clone(),
        state: word(&title.state)?,
        created: Timestamp::from_millis(title.created),
        rev: title.rev.cast_unsigned(),
        set: title.newest.as_ref().map(set),
        offers: offers.iter().map(offer_answer).collect::<Result<_, _>>()?,
    })
}

fn offer_answer(offer: &Offer) -> Result<api::Offer, DbError> {
    let seconds = |ms: i64| u32::try_from(ms / SECOND).unwrap_or(u32::MAX);
    Ok(api::Offer {
        id: id(offer.id),
        kind: word(&offer.kind)?,
        plays: offer.plays.and_then(|plays| u16::try_from(plays).ok()),
        start_within: offer.start_within.map(seconds),
        play_window: offer.play_window.map(seconds),
        price: money(offer.price, &offer.currency)?,
        valid_from: Timestamp::from_millis(offer.valid_from),
        valid_until: offer.valid_until.map(Timestamp::from_millis),
        rev: offer.rev.cast_unsigned(),
    })
}
