//! Refusals that more than one service gives.

use segcast_api::problem::{Code, More, Problem};

use crate::app::Outcome;
use crate::password::Busy;

/// A refusal with what happened, for a person.
pub(super) fn refuse<T>(code: Code, detail: impl Into<String>) -> Outcome<T> {
    Outcome::Refused(Problem::new(code, detail))
}

/// Too early by so many ms.
pub(super) fn rate_limited<T>(early: i64) -> Outcome<T> {
    let seconds = early.div_euclid(1000) + 1;
    let more = More { retry_after: u32::try_from(seconds).ok(), ..More::default() };
    let detail = format!("too often: try again in {seconds} s");
    Outcome::Refused(Problem::new(Code::RateLimited, detail).with(more))
}

/// A field of the request that cannot be.
pub(super) fn invalid<T>(pointer: &str, message: &str) -> Outcome<T> {
    Outcome::Refused(Problem::field(pointer, message))
}

/// So many logins wait that this one does not.
impl<T> From<Busy> for Outcome<T> {
    fn from(_: Busy) -> Self {
        rate_limited(1000)
    }
}
