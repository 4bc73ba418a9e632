//! Validations: a ticket and a device become a certificate. A counted ticket is spent by it, and what plays are left go
//! into the next one.

use segcast_api::problem::{Code, More, Problem};
use segcast_api::tickets as api;
use segcast_api::value::{Bytes, Timestamp};
use segcast_proto::ticket::{
    AccountId, BODY_LEN, CertificateBody, Serial, TicketBody, TicketError, check_ticket,
    sign_certificate,
};

use super::refusal::refuse;
use super::tickets::{Drawn, Maker, seconds};
use super::{Caller, DAY, Guard, fresh_id, id, record, row_id};
use crate::app::{App, Outcome};
use crate::db::plays::{self, Certificate, Ticket};
use crate::db::{DbError, Tx, devices};

/// Answers of validations are kept this long: whoever lost one asks again with its key, and pays no second play.
const KEPT: i64 = 30 * DAY;

/// Validates a ticket for one of the caller's devices.
///
/// # Errors
/// [`DbError`].
pub async fn validate(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::ValidationRequest,
) -> Result<Outcome<api::ValidationAnswer>, DbError> {
    let now = app.clock.now();
    let (serial, entry, drawn) = (fresh_id()?, fresh_id()?, Drawn::new()?);
    let act = async |tx: Tx| {
        let tx = &tx;
        let body = match check(app, caller, &request, now) {
            Outcome::Done(body) => body,
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        };
        let device = devices::by_id(tx, caller.id(), row_id(request.device)).await?;
        if device.is_none_or(|device| device.revoked.is_some()) {
            return Ok(refuse(
                Code::DeviceRevoked,
                "this account has no such device, or not any more",
            ));
        }
        let maker = Maker::of(app, tx, body.set).await?;
        let Some(maker) = maker.filter(|maker| maker.is_ready) else {
            return Ok(refuse(Code::SetNotReady, "the title was withdrawn"));
        };
        let ticket = body.serial.0.cast_signed();
        if !plays::spend(tx, ticket, caller.id(), body.set, now).await? {
            return Ok(Outcome::Refused(why_not(tx, caller, ticket).await?));
        }
        let Some(ticket) = plays::ticket_by_serial(tx, ticket).await? else {
            return Err(DbError::Row("a ticket went while it was locked"));
        };
        let certificate = certificate(&ticket, serial, row_id(request.device), now);
        plays::insert_certificate(tx, &certificate).await?;
        let next = match ticket.plays {
            Some(left @ 2..) => {
                Some(maker.write(tx, &next_ticket(&ticket, left - 1, now), &drawn).await?)
            }
            _ => None,
        };
        record(tx, (entry, now), caller, "validation", id(serial).to_string(), ticket.slug.clone())
            .await?;
        Ok(Outcome::Done(api::ValidationAnswer {
            certificate: sign(&maker, &certificate, &ticket, &request.ticket)?,
            serial: id(serial),
            expires: certificate.expires.map(Timestamp::from_millis),
            ticket: next,
            page0_digest: Bytes::from(maker.page0_digest),
            edges: app.settings.edges.clone(),
        }))
    };
    guard.run(app, caller.id(), (now, KEPT), act).await
}

/// The body of a ticket that this center signed for this account.
fn check(
    app: &App,
    caller: &Caller,
    request: &api::ValidationRequest,
    now: i64,
) -> Outcome<TicketBody> {
    let now = now.div_euclid(1000).cast_unsigned();
    match check_ticket(&request.ticket.0, &app.vault.trust(), now) {
        Ok(body) if body.account == caller.account => Outcome::Done(body),
        Ok(_) => refuse(Code::TicketUnknown, "this ticket is another account's"),
        Err(TicketError::Expired { .. }) => {
            // Its own row says until when.
            match TicketBody::decode(request.ticket.0.get(..BODY_LEN).unwrap_or_default()) {
                Ok(body) if body.account == caller.account => Outcome::Done(body),
                _ => refuse(Code::TicketInvalid, "this ticket has ended"),
            }
        }
        Err(error) => {
            refuse(Code::TicketInvalid, format!("this is no ticket of this center: {error}"))
        }
    }
}

/// Why a ticket could not be spent.
async fn why_not(tx: &Tx, caller: &Caller, serial: i64) -> Result<Problem, DbError> {
    let ticket = plays::ticket_by_serial(tx, serial).await?;
    let Some(ticket) = ticket.filter(|ticket| ticket.account == caller.id()) else {
        return Ok(Problem::new(Code::TicketUnknown, "this account has no such ticket"));
    };
    let mut more = More::default();
    let (code, detail) = match ticket.state.as_str() {
        "spent" => {
            let spent = plays::spent_by(tx, serial).await?;
            more.at = spent.as_ref().map(|(at, _)| Timestamp::from_millis(*at));
            more.device = spent.map(|(_, device)| device);
            (Code::TicketSpent, "this ticket was played".to_owned())
        }
        "revoked" => {
            (Code::TicketRevoked, format!("the right of order {} was withdrawn", id(ticket.order)))
        }
        _ => {
            more.at = ticket.expires.map(Timestamp::from_millis);
            (
                Code::TicketExpired,
                "this ticket could be started until a time that has passed".to_owned(),
            )
        }
    };
    Ok(Problem::new(code, detail).with(more))
}

fn certificate(ticket: &Ticket, serial: i64, device: i64, now: i64) -> Certificate {
    Certificate {
        serial,
        ticket: ticket.serial,
        spends: ticket.plays.is_some(),
        account: ticket.account,
        device,
        set: ticket.set,
        created: now,
        expires: ticket.play_window.map(|span| now + span),
        state: "live".to_owned(),
    }
}

/// The ticket of the plays that are left: it ends when the one before did.
fn next_ticket(spent: &Ticket, left: i64, now: i64) -> Ticket {
    Ticket {
        parent: Some(spent.serial),
        plays: Some(left),
        created: now,
        state: "live".to_owned(),
        ..spent.clone()
    }
}

/// The certificate's 128 bytes, signed over those of the ticket that came with the request.
fn sign(
    maker: &Maker,
    certificate: &Certificate,
    ticket: &Ticket,
    bytes: &Bytes,
) -> Result<Bytes, DbError> {
    let body = CertificateBody {
        serial: Serial(certificate.serial.cast_unsigned()),
        account: AccountId(certificate.account.cast_unsigned()),
        created: seconds(certificate.created)?,
        expires: certificate.expires.map(seconds).transpose()?,
        set: certificate.set,
        key_id: [0; 4],
        part: maker.part(ticket)?,
    };
    let ticket = bytes.0.first_chunk().ok_or(DbError::Row("a checked ticket is too short"))?;
    let signed = sign_certificate(&maker.signer, &body, ticket, &maker.page0_digest);
    let signed = signed.map_err(|_| DbError::Row("a certificate that nobody would accept"))?;
    Ok(Bytes::from(signed))
}
