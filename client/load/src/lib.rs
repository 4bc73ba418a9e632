//! Segcast's load generator: it offers segments at times that were fixed before, says for each of them what became
//! of it, and measures itself as closely as the server.
//!
//! A plan gives intended times; threads drive sessions; each thread gives one [`record::Interval`] per second to a
//! collector, which alone adds up, shows and writes. So looking at a run never costs the threads that make it.
#![forbid(unsafe_code)]

/// Whether the generator can be trusted on this machine.
pub mod calibrate;
/// Adding up what threads record.
pub mod collector;
/// What other programs took of the box.
pub mod others;
/// Everything that will be asked for, and when.
pub mod plan;
/// When a viewer would see pictures, and when the picture would stand still.
pub mod playout;
/// What a thread records.
pub mod record;
/// Where a run reports to.
pub mod recorder;
/// JSON, interval log, text, HTML.
pub mod report;
/// What was recorded, as figures that are judged and stored.
pub mod result;
/// Making the load.
pub mod run;
/// What the server used.
pub mod server;
/// Objectives.
pub mod slo;
/// Looking at a run while it goes on.
pub mod view;

mod words;

#[cfg(test)]
mod example;
