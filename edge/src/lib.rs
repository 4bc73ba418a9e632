//! Thread-per-core Segcast server: the library behind `segcast edge`.
//!
//! A shard is one thread with its own sockets, sessions and send memory; it joins the sans-IO endpoint of
//! `segcast-proto` to a driver of `segcast-sysio` and to the segment store. Everything else (metrics, signals,
//! reading cold segments) happens on other threads and reaches a shard by bounded queues.
#![forbid(unsafe_code)]

mod addresses;
mod admin;
mod announcement;
mod board;
/// The configuration and its errors.
pub mod config;
mod dry_run;
mod guard;
mod keyfiles;
mod last_minute;
/// Every bound of the edge.
pub mod limits;
mod mailbox;
mod metric;
mod populate;
mod record;
mod server;
mod session_log;
mod shard;

pub use addresses::AddressError;
pub use announcement::{Announcement, AnnouncementError};
pub use keyfiles::KeyError;
pub use server::{
    Alone, Checked, Handle, Server, StartError, Supervisor, check, excesses, reloadable, run,
};
