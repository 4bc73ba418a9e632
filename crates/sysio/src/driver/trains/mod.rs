//! Trains on their way out, for all drivers: the memory they lie in, which way each goes, what the kernel
//! reads to send it, and what becomes of those that fail.

pub(crate) mod arena;
pub(crate) mod failure;
pub(crate) mod outbox;
pub(crate) mod outgoing;
pub(crate) mod pages;
mod route;
pub(crate) mod wire;
pub(crate) mod zero_copy;
