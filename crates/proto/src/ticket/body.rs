//! The bodies of a ticket and of a certificate, byte by byte (section 21).

use super::split::KeyPart;
use super::{AccountId, Serial, TicketError};
use crate::ids::SetId;

/// A body, without its signature.
pub const BODY_LEN: usize = 64;

/// What a body is: kind and format.
const TICKET: [u8; 2] = [1, 1];
const CERTIFICATE: [u8; 2] = [2, 1];
/// Plays of a ticket that may be played for ever.
const UNLIMITED: u16 = u16::MAX;

/// The right to play a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketBody {
    /// Names the ticket.
    pub serial: Serial,
    /// Whose it is.
    pub account: AccountId,
    /// When it was made, Unix seconds (until 2106).
    pub created: u32,
    /// The first second, Unix time, at which it can be validated no more; none: never.
    pub expires: Option<u32>,
    /// What it is for.
    pub set: SetId,
    /// How often it can be validated, 1 to 65 534; none: without limit, and then it never expires.
    pub plays: Option<u16>,
    /// How the id of the key begins that signed it; set by signing.
    pub key_id: [u8; 4],
    /// Part 1 of the title key.
    pub part: KeyPart,
}

/// The proof that a play was spent: lets its device play until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBody {
    /// Names the certificate: the play id.
    pub serial: Serial,
    /// Whose it is.
    pub account: AccountId,
    /// When it was made, Unix seconds (until 2106).
    pub created: u32,
    /// The first second, Unix time, at which nothing can be played with it any more; none: never.
    pub expires: Option<u32>,
    /// What it is for.
    pub set: SetId,
    /// How the id of the key begins that signed it; set by signing.
    pub key_id: [u8; 4],
    /// Part 2 of the title key.
    pub part: KeyPart,
}

impl TicketBody {
    /// The 64 bytes. Of a body that breaks the rules of its fields they are no ticket: see [`Self::decode`].
    #[must_use]
    pub fn encode(&self) -> [u8; BODY_LEN] {
        let fields = Fields {
            serial: self.serial,
            account: self.account,
            created: self.created,
            expires: self.expires,
            set: self.set,
            plays: self.plays.unwrap_or(UNLIMITED),
            kind: TICKET,
            key_id: self.key_id,
        };
        fields.encode(&self.part)
    }

    /// Reads a body. Its signature is not looked at: [`super::check_ticket`] does that.
    ///
    /// # Errors
    ///
    /// [`TicketError::Invalid`] for other lengths, kinds and formats, and for fields out of their bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, TicketError> {
        let (fields, part) = Fields::decode(bytes, TICKET)?;
        let plays = match (fields.plays, fields.expires) {
            (UNLIMITED, None) => None,
            (UNLIMITED, Some(_)) => return Err(TicketError::Invalid("plays without limit end")),
            (0, _) => return Err(TicketError::Invalid("no plays")),
            (plays, _) => Some(plays),
        };
        let Fields { serial, account, created, expires, set, key_id, .. } = fields;
        Ok(Self { serial, account, created, expires, set, plays, key_id, part })
    }
}

impl CertificateBody {
    /// The 64 bytes. Of a body that breaks the rules of its fields they are no certificate: see [`Self::decode`].
    #[must_use]
    pub fn encode(&self) -> [u8; BODY_LEN] {
        let fields = Fields {
            serial: self.serial,
            account: self.account,
            created: self.created,
            expires: self.expires,
            set: self.set,
            plays: 0,
            kind: CERTIFICATE,
            key_id: self.key_id,
        };
        fields.encode(&self.part)
    }

    /// Reads a body. Its signature is not looked at: [`super::check_certificate`] does that.
    ///
    /// # Errors
    ///
    /// As [`TicketBody::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, TicketError> {
        let (fields, part) = Fields::decode(bytes, CERTIFICATE)?;
        if fields.plays != 0 {
            return Err(TicketError::Invalid("reserved bytes are not 0"));
        }
        let Fields { serial, account, created, expires, set, key_id, .. } = fields;
        Ok(Self { serial, account, created, expires, set, key_id, part })
    }
}

/// What both have, in its order, without the key part.
struct Fields {
    serial: Serial,
    account: AccountId,
    created: u32,
    expires: Option<u32>,
    set: SetId,
    /// Reserved in a certificate.
    plays: u16,
    /// Kind and format.
    kind: [u8; 2],
    key_id: [u8; 4],
}

impl Fields {
    fn encode(&self, part: &KeyPart) -> [u8; BODY_LEN] {
        let fields: [&[u8]; 9] = [
            &self.serial.0.to_be_bytes(),
            &self.account.0.to_be_bytes(),
            &self.created.to_be_bytes(),
            &self.expires.unwrap_or(0).to_be_bytes(),
            &self.set.0,
            &self.plays.to_be_bytes(),
            &self.kind,
            &self.key_id,
            &part.0,
        ];
        let (mut out, mut at) = ([0; BODY_LEN], 0);
        for field in fields {
            out[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        out
    }

    fn decode(bytes: &[u8], kind: [u8; 2]) -> Result<(Self, KeyPart), TicketError> {
        let bytes: &[u8; BODY_LEN] =
            bytes.try_into().map_err(|_| TicketError::Invalid("a body has 64 bytes"))?;
        if bytes[42..44] != kind {
            return Err(TicketError::Invalid("another kind or another format"));
        }
        let (created, expires) = (u32::from_be_bytes(field(bytes, 16)), field(bytes, 20));
        let expires = Some(u32::from_be_bytes(expires)).filter(|expires| *expires != 0);
        if expires.is_some_and(|expires| expires <= created) {
            return Err(TicketError::Invalid("it ends before it begins"));
        }
        let fields = Self {
            serial: Serial(u64::from_be_bytes(field(bytes, 0))),
            account: AccountId(u64::from_be_bytes(field(bytes, 8))),
            created,
            expires,
            set: SetId(field(bytes, 24)),
            plays: u16::from_be_bytes(field(bytes, 40)),
            kind,
            key_id: field(bytes, 44),
        };
        Ok((fields, KeyPart(field(bytes, 48))))
    }
}

/// The `N` bytes from `at` on.
fn field<const N: usize>(bytes: &[u8; BODY_LEN], at: usize) -> [u8; N] {
    core::array::from_fn(|i| bytes[at + i])
}
