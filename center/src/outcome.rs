//! What came of an act, which the database, the services and their callers tell each other.

use segcast_api::problem::Problem;

/// What an act came to. Both are committed.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// Done.
    Done(T),
    /// Not done, and nothing written but that it was tried.
    Refused(Problem),
}
