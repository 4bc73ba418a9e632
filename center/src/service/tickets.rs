//! Tickets: made from a row and the title key, each time anew. The signature is deterministic, so who lost a ticket gets
//! the same bytes again.

use std::sync::Arc;

use segcast_api::problem::Code;
use segcast_api::tickets as api;
use segcast_api::value::{Bytes, Id, Set, Timestamp};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::ticket::{AccountId, KeyPart, Serial, TicketBody, sign_ticket, split};
use segcast_proto::trust::Use;

use super::refusal::refuse;
use super::{Caller, Listed, fresh_id, id, random, row_id, text_of, word};
use crate::app::{App, Outcome};
use crate::db::plays::{self, Ticket};
use crate::db::{DbError, Tx, Window, catalogue};
use crate::vault::Vault;

/// What a new ticket is drawn from.
pub(super) struct Drawn {
    serial: i64,
    k1: [u8; 16],
}

impl Drawn {
    pub(super) fn new() -> Result<Self, DbError> {
        Ok(Self { serial: fresh_id()?, k1: random()? })
    }
}

/// Makes tickets of one set.
pub(super) struct Maker {
    set: SetId,
    key: TitleKey,
    /// SHA-256 of the manifest's page 0.
    pub(super) page0_digest: [u8; 32],
    /// Whether the set is delivered: not any more when it was withdrawn.
    pub(super) is_ready: bool,
    /// What tickets and certificates are signed with.
    pub(super) signer: Arc<SigningKey>,
    vault: Vault,
}

impl Maker {
    /// The maker for a set; none when it was never published.
    pub(super) async fn of(app: &App, tx: &Tx, set: SetId) -> Result<Option<Self>, DbError> {
        let Some(row) = catalogue::set_key(tx, set).await? else { return Ok(None) };
        let (Some(page0_digest), Some(wrapped)) = (row.page0_digest, row.wrapped) else {
            return Ok(None);
        };
        let key = app.vault.unwrap("title_keys", &set.0, &wrapped)?;
        let key = key
            .as_slice()
            .try_into()
            .map_err(|_| DbError::Row("a title key has another length"))?;
        Ok(Some(Self {
            set,
            key: TitleKey::new(key),
            page0_digest,
            is_ready: row.state == "ready",
            signer: app.vault.signer(Use::Ticket),
            vault: app.vault.clone(),
        }))
    }

    /// Writes a ticket like `ticket`, under the serial and with the key part that were drawn.
    pub(super) async fn write(
        &self,
        tx: &Tx,
        ticket: &Ticket,
        drawn: &Drawn,
    ) -> Result<api::Ticket, DbError> {
        let k1 = self.vault.wrap("tickets", &drawn.serial.to_be_bytes(), &drawn.k1);
        let ticket = Ticket { serial: drawn.serial, k1, ..ticket.clone() };
        plays::insert_ticket(tx, &ticket).await?;
        self.answer(&ticket)
    }

    /// The part of the title key that a ticket's certificate carries.
    pub(super) fn part(&self, ticket: &Ticket) -> Result<KeyPart, DbError> {
        let k1 = self.vault.unwrap("tickets", &ticket.serial.to_be_bytes(), &ticket.k1)?;
        let k1 = k1.as_slice().try_into();
        Ok(KeyPart(k1.map_err(|_| DbError::Row("a key part has another length"))?))
    }

    /// A ticket with its 128 bytes.
    pub(super) fn answer(&self, ticket: &Ticket) -> Result<api::Ticket, DbError> {
        let plays = ticket.plays.map(u16::try_from).transpose();
        let plays = plays.map_err(|_| DbError::Row("a ticket has 65 536 plays or more"))?;
        let body = TicketBody {
            serial: Serial(ticket.serial.cast_unsigned()),
            account: AccountId(ticket.account.cast_unsigned()),
            created: seconds(ticket.created)?,
            expires: ticket.expires.map(seconds).transpose()?,
            set: ticket.set,
            plays,
            key_id: [0; 4],
            part: split(&self.key, &self.part(ticket)?),
        };
        let signed = sign_ticket(&self.signer, &body);
        let signed = signed.map_err(|_| DbError::Row("a ticket that nobody would accept"))?;
        Ok(api::Ticket {
            serial: id(ticket.serial),
            title: ticket.slug.clone(),
            name: ticket.name.clone(),
            order: id(ticket.order),
            set: Set(ticket.set),
            plays,
            created: Timestamp::from_millis(ticket.created),
            expires: ticket.expires.map(Timestamp::from_millis),
            state: word(&ticket.state)?,
            ticket: Bytes::from(signed),
        })
    }
}

/// Unix seconds of milliseconds, as tickets have them.
pub(super) fn seconds(ms: i64) -> Result<u32, DbError> {
    u32::try_from(ms.div_euclid(1000)).map_err(|_| DbError::Row("a time before 1970 or after 2106"))
}

/// The caller's tickets in a state, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(
    app: &App,
    caller: &Caller,
    state: Option<api::TicketState>,
    window: Window,
) -> Result<Listed<api::Ticket>, DbError> {
    let connection = &app.db.read().await?;
    let state = state.map_or_else(String::new, text_of);
    let rows = plays::list_tickets(connection, caller.id(), &state, window.and_one()).await?;
    let mut found = Vec::with_capacity(rows.len());
    let mut maker: Option<Maker> = None;
    for ticket in rows {
        if maker.as_ref().is_none_or(|maker| maker.set != ticket.set) {
            maker = Maker::of(app, connection, ticket.set).await?;
        }
        let maker = maker.as_ref().ok_or(DbError::Row("a ticket of a set without a key"))?;
        found.push((ticket.created, ticket.serial, maker.answer(&ticket)?));
    }
    Listed::of(found, window.limit, |row| (row.0, row.1), |row| Ok(row.2.clone()))
}

/// One of the caller's tickets.
///
/// # Errors
/// [`DbError`].
pub async fn get(app: &App, caller: &Caller, serial: Id) -> Result<Outcome<api::Ticket>, DbError> {
    let connection = &app.db.read().await?;
    let ticket = plays::ticket_by_serial(connection, row_id(serial)).await?;
    let Some(ticket) = ticket.filter(|ticket| ticket.account == caller.id()) else {
        return Ok(refuse(Code::TicketUnknown, "this account has no such ticket"));
    };
    let maker = Maker::of(app, connection, ticket.set).await?;
    let maker = maker.ok_or(DbError::Row("a ticket of a set without a key"))?;
    Ok(Outcome::Done(maker.answer(&ticket)?))
}
