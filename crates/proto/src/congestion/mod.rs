//! The sender's side of a path: how fast to send, what was delivered and lost, and whether reports are true.
//!
//! `Sender` is all that a session uses. It is told of every train, control packet and report, and says when the
//! next train may leave and how long it may be. It holds no data and repeats nothing: the client asks again.
//! `docs/internals/rate-model.md` describes the model; docs/protocol, sections 7.2, 9, 10 and 11 are what it relies on.

mod filters;
mod missing;
mod model;
mod rate_sample;
mod report;
mod rtt;
mod sender;
mod silence;
mod skip;
mod train_size;
mod trains;

pub use model::Phase;
pub use report::{FeedbackView, Lie, ReportOutcome};
pub use sender::{Sender, SenderConfig};
