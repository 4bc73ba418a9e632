//! How the center refuses: problem details (RFC 9457), whose `type` ends with a code that is never renamed.

use core::fmt;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::value::{Money, Timestamp};

/// Why not.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, EnumString, IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "title() says it, to people too")]
pub enum Code {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    Invalid,
    PreconditionRequired,
    RateLimited,
    Internal,
    DatabaseUnavailable,
    Draining,
    LoginTaken,
    PasswordWeak,
    RegistrationClosed,
    LoginFailed,
    PasswordMustChange,
    PasswordWrong,
    TooManyDevices,
    OfferGone,
    InsufficientFunds,
    SetNotReady,
    RefundTooMuch,
    AlreadyPlayed,
    RefundLate,
    TicketInvalid,
    TicketUnknown,
    TicketSpent,
    TicketExpired,
    TicketRevoked,
    DeviceRevoked,
    CertificateExpired,
    CertificateRevoked,
    WrongDevice,
    SlugTaken,
    CurrencyUnknown,
}

impl Code {
    /// The code as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The HTTP status it comes with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::IdempotencyKeyMissing => 400,
            Self::Unauthenticated | Self::LoginFailed => 401,
            Self::InsufficientFunds => 402,
            Self::Forbidden
            | Self::RegistrationClosed
            | Self::PasswordMustChange
            | Self::PasswordWrong
            | Self::WrongDevice
            | Self::DeviceRevoked
            | Self::TicketRevoked
            | Self::CertificateRevoked => 403,
            Self::NotFound | Self::TicketUnknown => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict
            | Self::LoginTaken
            | Self::SlugTaken
            | Self::TooManyDevices
            | Self::SetNotReady
            | Self::RefundTooMuch
            | Self::AlreadyPlayed
            | Self::RefundLate
            | Self::TicketSpent => 409,
            Self::OfferGone | Self::TicketExpired | Self::CertificateExpired => 410,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::IdempotencyKeyReused
            | Self::Invalid
            | Self::PasswordWeak
            | Self::TicketInvalid
            | Self::CurrencyUnknown => 422,
            Self::PreconditionRequired => 428,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::DatabaseUnavailable | Self::Draining => 503,
        }
    }

    /// The same for all problems of this code: what happened.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "the request cannot be read",
            Self::Unauthenticated => "no valid login came with the request",
            Self::Forbidden => "this login may not do that",
            Self::NotFound => "there is no such thing",
            Self::MethodNotAllowed => "this method does not go with this address",
            Self::Conflict => "it is not in a state for that",
            Self::PreconditionFailed => "it has changed since it was read",
            Self::TooLarge => "the request is too large",
            Self::UnsupportedMediaType => "the body must be application/json",
            Self::IdempotencyKeyMissing => "the header Idempotency-Key is missing",
            Self::IdempotencyKeyReused => "this Idempotency-Key came with another request",
            Self::Invalid => "a field is not what it must be",
            Self::PreconditionRequired => "the header If-Match is missing",
            Self::RateLimited => "too many requests",
            Self::Internal => "the center has a fault",
            Self::DatabaseUnavailable => "the center cannot reach its database",
            Self::Draining => "this instance is ending",
            Self::LoginTaken => "this login is taken",
            Self::PasswordWeak => "the password is too weak",
            Self::RegistrationClosed => "accounts are made by operators here",
            Self::LoginFailed => "login or password is wrong",
            Self::PasswordMustChange => "the password must be changed first",
            Self::PasswordWrong => "the old password is wrong",
            Self::TooManyDevices => "the account has as many devices as it may",
            Self::OfferGone => "there is no such offer now",
            Self::InsufficientFunds => "the balance is too low",
            Self::SetNotReady => "the title cannot be delivered yet, or no more",
            Self::RefundTooMuch => "more than is left of the price",
            Self::AlreadyPlayed => "a play of the order was used",
            Self::RefundLate => "the time for a refund is over",
            Self::TicketInvalid => "this is no ticket of this center and account",
            Self::TicketUnknown => "there is no such ticket",
            Self::TicketSpent => "the ticket was played",
            Self::TicketExpired => "the ticket has ended",
            Self::TicketRevoked => "the ticket was withdrawn",
            Self::DeviceRevoked => "the device was revoked",
            Self::CertificateExpired => "the time to watch is over",
            Self::CertificateRevoked => "the right to watch was withdrawn",
            Self::WrongDevice => "the certificate belongs to another device",
            Self::SlugTaken => "a title has this slug",
            Self::CurrencyUnknown => "this currency is not taken here",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(try_from = "Text", into = "Text")]
#[error("{code}: {detail}")]
pub struct Problem {
    /// Why.
    pub code: Code,
    /// The same for people, of this case.
    pub detail: String,
    /// Fields that are wrong, of `invalid`.
    pub errors: Vec<FieldError>,
    /// The request, as the center's log knows it.
    pub request_id: Option<String>,
    /// What more there is to know.
    pub more: More,
}

/// Members that some codes have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct More {
    /// What it costs, of `insufficient-funds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<Money>,
    /// What there is, of `insufficient-funds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<Money>,
    /// When it was spent, ended or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The name of the device that played it, or that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Seconds after which it may be tried again, as in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// A field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What would be right.
    pub detail: String,
}

impl Problem {
    /// A refusal with nothing more.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (errors, more) = (Vec::new(), More::default());
        Self { code, detail: detail.into(), errors, request_id: None, more }
    }

    /// `invalid`, for one field.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        let mut problem = Self::new(Code::Invalid, format!("{}: {}", error.pointer, error.detail));
        problem.errors.push(error);
        problem
    }

    /// The same with more to know.
    #[must_use]
    pub fn with(mut self, more: More) -> Self {
        self.more = more;
        self
    }
}

/// As it stands in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Text {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(flatten)]
    more: More,
}

impl From<Problem> for Text {
    fn from(problem: Problem) -> Self {
        let Problem { code, detail, errors, request_id, more } = problem;
        let (title, status) = (code.title().to_owned(), code.status());
        Self {
            r#type: format!("/problems/{code}"),
            title,
            status,
            detail,
            errors,
            request_id,
            more,
        }
    }
}

/// A `type` that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("a problem of unknown type {0:?}")]
struct UnknownType(String);

impl TryFrom<Text> for Problem {
    type Error = UnknownType;

    fn try_from(text: Text) -> Result<Self, UnknownType> {
        let Text { r#type, detail, errors, request_id, more, .. } = text;
        let code = r#type.strip_prefix("/problems/").and_then(|code| code.parse().ok());
        let code = code.ok_or(UnknownType(r#type))?;
        Ok(Self { code, detail, errors, request_id, more })
    }
}

/// The schema is that of [`Text`], spelt out since it is an implementation's detail.
#[cfg(feature = "schema")]
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "read by the derive alone")]
struct Schema {
    /// `/problems/` and the code.
    r#type: String,
    /// What happened, the same for all of this code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here.
    detail: String,
    /// Fields that are wrong.
    errors: Option<Vec<FieldError>>,
    /// The request, as the center's log knows it.
    request_id: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    more: More,
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        Schema::schema()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Problem {
    fn schemas(
        schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    ) {
        <Schema as utoipa::ToSchema>::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn a_problem_is_as_rfc_9457_says_and_reads_back() {
        let money = |minor| Some(Money { minor, currency: "EUR".parse().unwrap() });
        let more = More { needed: money(499), present: money(200), ..More::default() };
        let problem = Problem::new(Code::InsufficientFunds, "4.99 EUR needed").with(more);
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            text,
            r#"{"type":"/problems/insufficient-funds","title":"the balance is too low","status":402,"detail":"4.99 EUR needed","needed":{"minor":499,"currency":"EUR"},"present":{"minor":200,"currency":"EUR"}}"#
        );
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
        assert!(serde_json::from_str::<Problem>(&text.replace("funds", "fun")).is_err());
    }

    #[test]
    fn every_code_has_a_name_of_its_own_and_a_status_of_a_refusal() {
        for code in Code::iter() {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert!((400..=503).contains(&code.status()) && !code.title().is_empty());
        }
    }
}
