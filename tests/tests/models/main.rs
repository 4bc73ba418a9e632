//! What threads of the product tell each other, in every order that the memory model of Rust allows (loom).
//!
//! Two protocols wake a thread without a lock: a shard's mailbox (`edge/src/mailbox/posted.rs`; strays, handoffs, answers of
//! the helpers, control) and the helpers' bell (`crates/sysio/src/sleepers.rs`). Their files are compiled into this test with loom's
//! atomics; the queues (crossbeam's, which are not what is checked) and eventfd(2) are modelled. The edge's board has no
//! protocol: independent counters and flags, each read for itself. loom and not shuttle: shuttle tries orders of a machine
//! where every thread sees every store at once, and what goes wrong here does so only where that is not so.
#![forbid(unsafe_code)]

mod bell;
mod event;
mod mailbox;

use loom::model::Builder;

/// Runs `model` in all its orders with at most `preemptions` of threads that could go on; two to three find what there is.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
