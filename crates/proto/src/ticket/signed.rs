//! Signatures of tickets and certificates: who makes them, and how they are checked.

use super::{BODY_LEN, CertificateBody, TicketBody, TicketError};
use crate::crypto::sign::{self, SIGNATURE_LEN, SigningKey, key_id};
use crate::limits::TOKEN_LEEWAY;
use crate::trust::{Trust, Use};

/// A body and its signature.
pub const SIGNED_LEN: usize = BODY_LEN + SIGNATURE_LEN;

/// Bound into every signature, so that none is one over something else.
const TICKET_CONTEXT: &[u8] = b"segcast v1 play ticket";
const CERTIFICATE_CONTEXT: &[u8] = b"segcast v1 validation certificate";

/// Makes a ticket. Its key id becomes that of `key`. The same body and key give the same bytes.
///
/// # Errors
///
/// [`TicketError::Invalid`] for a body that nobody would accept.
pub fn sign_ticket(key: &SigningKey, body: &TicketBody) -> Result<[u8; SIGNED_LEN], TicketError> {
    let bytes = TicketBody { key_id: begin_of_id(key), ..body.clone() }.encode();
    // No plays left, or 65 535 of them, which would be a ticket without limit.
    if TicketBody::decode(&bytes)?.plays != body.plays {
        return Err(TicketError::Invalid("65 535 plays"));
    }
    Ok(join(&bytes, &key.sign(&[TICKET_CONTEXT, &bytes].concat())))
}

/// Checks a ticket at `now`, Unix seconds. Whose it is and for what is the caller's to compare.
///
/// # Errors
///
/// [`TicketError`].
pub fn check_ticket(ticket: &[u8], trust: &Trust, now: u64) -> Result<TicketBody, TicketError> {
    let (bytes, signature) = split(ticket)?;
    let body = TicketBody::decode(bytes)?;
    verify(trust, body.key_id, now, &[TICKET_CONTEXT, bytes].concat(), signature)?;
    check_times(body.created, body.expires, now)?;
    Ok(body)
}

/// Makes the certificate that spends a play of `ticket`, a ticket's body, on the set whose manifest page 0 has this
/// SHA-256. Both are signed over and not sent: the client has them. The key id becomes that of `key`.
///
/// # Errors
///
/// [`TicketError::Invalid`] for bodies that nobody would accept, [`TicketError::OfAnother`] when they do not belong
/// together.
pub fn sign_certificate(
    key: &SigningKey,
    body: &CertificateBody,
    ticket: &[u8; BODY_LEN],
    page0_digest: &[u8; 32],
) -> Result<[u8; SIGNED_LEN], TicketError> {
    let bytes = CertificateBody { key_id: begin_of_id(key), ..body.clone() }.encode();
    of_one_right(&CertificateBody::decode(&bytes)?, &TicketBody::decode(ticket)?)?;
    let message = [CERTIFICATE_CONTEXT, &bytes, ticket, page0_digest].concat();
    Ok(join(&bytes, &key.sign(&message)))
}

/// Checks a certificate at `now`, Unix seconds, with the body of the ticket that was spent for it and the SHA-256 of the
/// manifest's page 0.
///
/// # Errors
///
/// [`TicketError`].
pub fn check_certificate(
    certificate: &[u8],
    ticket: &[u8; BODY_LEN],
    page0_digest: &[u8; 32],
    trust: &Trust,
    now: u64,
) -> Result<CertificateBody, TicketError> {
    let (bytes, signature) = split(certificate)?;
    let body = CertificateBody::decode(bytes)?;
    let message = [CERTIFICATE_CONTEXT, bytes, ticket, page0_digest].concat();
    verify(trust, body.key_id, now, &message, signature)?;
    of_one_right(&body, &TicketBody::decode(ticket)?)?;
    check_times(body.created, body.expires, now)?;
    Ok(body)
}

fn begin_of_id(key: &SigningKey) -> [u8; 4] {
    let id = key_id(&key.public());
    core::array::from_fn(|i| id[i])
}

fn join(body: &[u8; BODY_LEN], signature: &[u8; SIGNATURE_LEN]) -> [u8; SIGNED_LEN] {
    core::array::from_fn(|i| if i < BODY_LEN { body[i] } else { signature[i - BODY_LEN] })
}

/// Body and signature.
fn split(signed: &[u8]) -> Result<(&[u8], &[u8]), TicketError> {
    if signed.len() != SIGNED_LEN {
        return Err(TicketError::Invalid("it has 128 bytes"));
    }
    Ok(signed.split_at(BODY_LEN))
}

/// Whether a key for tickets whose id begins like this signed `message`; more than one only by a collision of 4 bytes.
fn verify(
    trust: &Trust,
    id: [u8; 4],
    now: u64,
    message: &[u8],
    signature: &[u8],
) -> Result<(), TicketError> {
    let mut keys = trust.keys(Use::Ticket, &id, now).peekable();
    if keys.peek().is_none() {
        return Err(TicketError::UnknownKey(id));
    }
    let is_signed = keys.any(|key| sign::verify(&key, message, signature));
    is_signed.then_some(()).ok_or(TicketError::Invalid("wrong signature"))
}

fn of_one_right(certificate: &CertificateBody, ticket: &TicketBody) -> Result<(), TicketError> {
    let is_one = (certificate.account, certificate.set) == (ticket.account, ticket.set);
    is_one.then_some(()).ok_or(TicketError::OfAnother)
}

/// The end is exact: nothing more can be gained by a clock that is slow. The begin only tells of wrong clocks.
fn check_times(created: u32, expires: Option<u32>, now: u64) -> Result<(), TicketError> {
    if now.saturating_add(TOKEN_LEEWAY.as_secs()) < u64::from(created) {
        return Err(TicketError::NotYetValid { created, now });
    }
    match expires {
        Some(expires) if now >= u64::from(expires) => Err(TicketError::Expired { expires, now }),
        _ => Ok(()),
    }
}
