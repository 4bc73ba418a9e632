//! Play tickets and validation certificates (section 21): 64 bytes each, and a signature.
//!
//! A ticket is the right to play a set, and holds one part of its title key. To validate it spends a play and gives a
//! certificate, which holds the other. Each part by itself is 16 random bytes.

/// The two bodies, byte by byte.
mod body;
/// Serial numbers and accounts.
mod number;
/// Signing and checking.
mod signed;
/// A title key in two parts.
mod split;

pub use body::{BODY_LEN, CertificateBody, TicketBody};
pub use number::{AccountId, BadNumber, Serial};
pub use signed::{SIGNED_LEN, check_certificate, check_ticket, sign_certificate, sign_ticket};
pub use split::{KeyPart, join, split};

/// Why a ticket or a certificate was not made or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Malformed, altered, or of the other kind.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// No key that may sign it begins like this.
    #[error("signed by no known key: its id begins with {}", hex::encode(.0))]
    UnknownKey([u8; 4]),
    /// It was valid before `expires`.
    #[error("ended at {expires}, now it is {now} (Unix time)")]
    Expired {
        /// The first second at which it was valid no more.
        expires: u32,
        /// The time of the check.
        now: u64,
    },
    /// It was made later than now: one of the two clocks is wrong.
    #[error("made at {created}, and now it is {now} (Unix time): a clock is wrong")]
    NotYetValid {
        /// When its maker's clock says that it was made.
        created: u32,
        /// The time of the check.
        now: u64,
    },
    /// The certificate is for another account or set than the ticket.
    #[error("of another account or set than its ticket")]
    OfAnother,
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
