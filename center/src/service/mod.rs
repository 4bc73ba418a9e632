//! What the center does: one transaction each, from a request to an [`Outcome`](outcome::Outcome).
//!
//! A handler has checked that the caller's role may ask; what belongs to another account is not found here. Random
//! bytes and the time are drawn before a transaction, which may be tried again.

pub mod accounts;
pub mod catalogue;
pub mod devices;
pub mod export;
pub mod ledger;
pub mod orders;
pub mod refunds;
mod refusal;
pub mod revocations;
pub mod sessions;
pub mod sets;
pub mod tickets;
pub mod tokens;
pub mod upkeep;
pub mod validations;

use std::str::FromStr;

use segcast_api::accounts::Role;
use segcast_api::problem::Code;
use segcast_api::value::{Id, Money};
use segcast_proto::ticket::AccountId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::refusal::{rate_limited, refuse};
use crate::app::{App, Outcome};
use crate::db::audit::Entry;
use crate::db::guard::{self, Known, Rate};
use crate::db::{DbError, Tx, audit};

/// Milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its network: an address without its last bits.
    pub network: String,
    /// Its id, in logs and answers.
    pub request_id: String,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the secret it came with.
    pub session: [u8; 32],
    /// Where from.
    pub origin: Origin,
}

impl Caller {
    fn id(&self) -> i64 {
        self.account.0.cast_signed()
    }
}

/// An idempotency key: 16 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads one; none when it is not of that form.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_right =
            (16..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_right.then(|| Self(text.to_owned()))
    }
}

/// What stands before an act: how often it may be done, and the key by which it is done once.
#[derive(Clone, Debug)]
pub struct Guard {
    /// How often.
    pub rate: Rate,
    /// The key; none for what may be done twice.
    pub key: Option<IdempotencyKey>,
    /// The route, to which a key belongs.
    pub route: &'static str,
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

impl Guard {
    /// The rate is counted, then the key is looked up: a known one gives its answer again, else `act` runs and its
    /// answer is kept for `kept` ms, sealed. What is refused gives the key back, since nothing was done.
    async fn run<T, F>(
        &self,
        app: &App,
        owner: i64,
        (now, kept): (i64, i64),
        act: impl Fn(Tx) -> F,
    ) -> Result<Outcome<T>, DbError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<Outcome<T>, DbError>>,
    {
        let owner = format!("{owner:016x}");
        let attempt = async |tx: Tx| {
            let tx = &tx;
            let early = guard::take(tx, &self.rate, now).await?;
            if early > 0 {
                return Ok(rate_limited(early));
            }
            let Some(IdempotencyKey(key)) = &self.key else { return act(tx.clone()).await };
            let place = (owner.as_str(), key.as_str());
            let row = [owner.as_bytes(), b" ", key.as_bytes()].concat();
            match guard::claim(tx, place, (self.route, &self.request), now + kept).await? {
                Known::Fresh => {}
                Known::Other => {
                    return Ok(refuse(
                        Code::IdempotencyKeyReused,
                        "this key was used for another request",
                    ));
                }
                Known::Same(answer) => {
                    let answer = app.vault.unwrap("idempotency", &row, &answer)?;
                    let answer = serde_json::from_slice(&answer);
                    return answer
                        .map(Outcome::Done)
                        .map_err(|_| DbError::Row("a kept answer is not its route's"));
                }
            }
            let outcome = act(tx.clone()).await?;
            match &outcome {
                Outcome::Done(answer) => {
                    let answer = serde_json::to_vec(answer)
                        .map_err(|_| DbError::Row("an answer has no JSON"))?;
                    guard::keep(tx, place, app.vault.wrap("idempotency", &row, &answer)).await?;
                }
                Outcome::Refused(_) => guard::release(tx, place).await?,
            }
            Ok(outcome)
        };
        app.db.write(attempt).await
    }
}

/// Random bytes.
fn random<const N: usize>() -> Result<[u8; N], DbError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// An id of 63 random bits: it betrays no volume and cannot be guessed.
fn fresh_id() -> Result<i64, DbError> {
    Ok(i64::from_be_bytes(random()?) & i64::MAX)
}

/// An id as it is written.
fn show(id: i64) -> String {
    format!("{id:016x}")
}

/// Enters what a caller did.
async fn record(
    tx: &Tx,
    (id, now): (i64, i64),
    caller: &Caller,
    action: &'static str,
    object: String,
    detail: String,
) -> Result<(), DbError> {
    let entry = Entry {
        id,
        at: now,
        actor: Some(caller.id()),
        action,
        object,
        request_id: caller.origin.request_id.clone(),
        network: caller.origin.network.clone(),
        detail,
    };
    audit::insert(tx, &entry).await
}

/// A page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<(i64, i64)>,
}

impl<T> Listed<T> {
    /// Of rows that were asked for with one more than `limit`; `place` is where a row stands.
    fn of<R>(
        mut rows: Vec<R>,
        limit: i64,
        place: impl Fn(&R) -> (i64, i64),
        item: impl Fn(&R) -> Result<T, DbError>,
    ) -> Result<Self, DbError> {
        let limit = usize::try_from(limit).unwrap_or_default();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(place);
        Ok(Self { items: rows.iter().map(item).collect::<Result<_, _>>()?, next })
    }
}

/// Something with its revision, which its ETag is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// Counts changes.
    pub rev: i64,
    /// What it is.
    pub value: T,
}

/// An id of the database as one of the interface.
fn id(id: i64) -> Id {
    Id(id.cast_unsigned())
}

/// The other way round.
fn row_id(id: Id) -> i64 {
    id.0.cast_signed()
}

/// A word of a row, which the schema has checked.
fn word<T: FromStr>(word: &str) -> Result<T, DbError> {
    word.parse().map_err(|_| DbError::Row("a word that the schema does not know"))
}

/// A word as it stands in a row.
fn text_of(word: impl Into<&'static str>) -> String {
    word.into().to_owned()
}

/// An amount.
fn money(minor: i64, currency: &str) -> Result<Money, DbError> {
    Ok(Money { minor, currency: word(currency)? })
}
