//! Clients of an edge without the product's client around them: one session, or very many on one socket.

/// Sessions that come and go.
pub mod churn;
/// A client that keeps to no rule but the format.
pub mod raw;
/// Many sessions that stay.
pub mod swarm;
