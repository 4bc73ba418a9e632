//! Access tokens: for live certificates of one device, short, renewed at half time.

use segcast_api::problem::{Code, More, Problem};
use segcast_api::tokens as api;
use segcast_api::value::{Bytes, Id, Set, Timestamp};
use segcast_proto::ids::SetId;
use segcast_proto::limits::TOKEN_SETS_MAX;
use segcast_proto::token::{self, Claims};
use segcast_proto::trust::Use;

use super::refusal::{invalid, rate_limited, refuse};
use super::{Caller, Guard, random, row_id};
use crate::app::{App, Outcome};
use crate::db::devices::Device;
use crate::db::{DbError, Tx, catalogue, devices, guard, plays};

/// Issues a token for plays of one device.
///
/// # Errors
/// [`DbError`].
pub async fn issue(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::TokenRequest,
) -> Result<Outcome<api::TokenAnswer>, DbError> {
    let mut plays = request.certificates.clone();
    plays.sort_unstable();
    plays.dedup();
    if plays.is_empty() || plays.len() != request.certificates.len() || plays.len() > TOKEN_SETS_MAX
    {
        return Ok(invalid("/certificates", "1 to 16 serials, each once"));
    }
    let (now, token_id) = (app.clock.now(), random()?);
    let issue = async |tx: Tx| {
        let tx = &tx;
        let early = guard::take(tx, &guard.rate, now).await?;
        if early > 0 {
            return Ok(rate_limited(early));
        }
        let device = devices::by_id(tx, caller.id(), row_id(request.device)).await?;
        let Some(device) = device.filter(|device| device.revoked.is_none()) else {
            return Ok(refuse(
                Code::DeviceRevoked,
                "this account has no such device, or not any more",
            ));
        };
        let (sets, end) = match renew(tx, caller, &device, &plays, now).await? {
            Outcome::Done(renewed) => renewed,
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        };
        Ok(Outcome::Done(sign(app, &device, (&plays, &sets), (now, end), token_id)?))
    };
    app.db.write(issue).await
}

/// The sets of all plays, in the order in which a token names them, and when the first certificate ends. Plays are
/// looked at by serial, so that two renewals never wait for each other.
async fn renew(
    tx: &Tx,
    caller: &Caller,
    device: &Device,
    plays: &[Id],
    now: i64,
) -> Result<Outcome<(Vec<SetId>, i64)>, DbError> {
    let (mut sets, mut end) = (Vec::with_capacity(plays.len()), i64::MAX);
    for play in plays {
        let renewed = plays::renew(tx, row_id(*play), (caller.id(), device.id), now).await?;
        let Some((set, expires)) = renewed else {
            return Ok(Outcome::Refused(why_not(tx, caller, device, *play).await?));
        };
        if catalogue::set_key(tx, set).await?.is_none_or(|set| set.state != "ready") {
            return Ok(refuse(Code::SetNotReady, "the title was withdrawn"));
        }
        if sets.contains(&set) {
            return Ok(invalid("/certificates", "two plays of one set"));
        }
        sets.push(set);
        end = end.min(expires.unwrap_or(i64::MAX));
    }
    Ok(Outcome::Done((sets, end)))
}

/// Why a certificate gives no token.
async fn why_not(tx: &Tx, caller: &Caller, device: &Device, play: Id) -> Result<Problem, DbError> {
    let found = plays::certificate_by_serial(tx, row_id(play)).await?;
    let Some(found) = found.filter(|found| found.account == caller.id()) else {
        return Ok(Problem::new(Code::NotFound, "this account has no such play"));
    };
    if found.state == "revoked" {
        return Ok(Problem::new(Code::CertificateRevoked, "the right was withdrawn"));
    }
    if found.device != device.id {
        let owner = devices::by_id(tx, caller.id(), found.device).await?;
        let more = More { device: owner.map(|owner| owner.name), ..More::default() };
        return Ok(
            Problem::new(Code::WrongDevice, "this certificate is another device's").with(more)
        );
    }
    let more = More { at: found.expires.map(Timestamp::from_millis), ..More::default() };
    Ok(Problem::new(Code::CertificateExpired, "the time to watch is over").with(more))
}

fn sign(
    app: &App,
    device: &Device,
    (plays, sets): (&[Id], &[SetId]),
    (now, end): (i64, i64),
    token_id: [u8; 8],
) -> Result<api::TokenAnswer, DbError> {
    let lifetime = i64::try_from(app.settings.token_lifetime.as_millis()).unwrap_or(i64::MAX);
    let not_before = now.div_euclid(1000);
    // A token ends with the first of its certificates, but not before it has begun.
    let expires = now.saturating_add(lifetime).min(end).div_euclid(1000).max(not_before + 1);
    let grace = u32::try_from(app.settings.grace.as_secs()).unwrap_or(u32::MAX);
    let claims = Claims {
        expires: expires.cast_unsigned(),
        not_before: not_before.cast_unsigned(),
        token_id,
        client_public: device.client_key,
        sets: sets.to_vec(),
        rate_cap_kbits: None,
        sessions: None,
        grace: Some(grace),
        plays: plays.iter().map(|play| play.0).collect(),
    };
    let token = token::mint(&claims, &app.vault.signer(Use::Token));
    let token = token.map_err(|_| DbError::Row("a token that nobody would accept"))?;
    Ok(api::TokenAnswer {
        token: Bytes(token),
        sets: sets.iter().copied().map(Set).collect(),
        expires: Timestamp::from_millis(expires * 1000),
        renew_after: Timestamp::from_millis((not_before + expires) * 500),
        grace,
        edges: app.settings.edges.clone(),
    })
}

/// The edges of a set that is ready.
///
/// # Errors
/// [`DbError`].
pub async fn edges(app: &App, set: Set) -> Result<Outcome<api::EdgesAnswer>, DbError> {
    let found = catalogue::set_key(&app.db.read().await?, set.0).await?;
    Ok(match found.filter(|found| found.state == "ready") {
        Some(_) => Outcome::Done(api::EdgesAnswer { set, edges: app.settings.edges.clone() }),
        None => refuse(Code::NotFound, "no such set"),
    })
}
