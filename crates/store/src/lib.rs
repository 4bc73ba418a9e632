//! The segment store: fixed-size segment files, mapped reads, crash-safe commits.
//!
//! `docs/protocol/store.md` describes the folder and every byte in it, the order of a commit and what a crash can leave.
//! [`Store`] opens a folder to write, one process at a time; [`Reader`]s show what is committed in it, beside a writer and
//! each other. [`Catalogue`] is what a serving thread holds: an immutable snapshot, read without a lock. A set shows in a
//! catalogue if and only if its commit is durable.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod error;
#[cfg(feature = "fault-layer")]
pub mod fault;
pub mod format;
pub mod layer;
pub mod limits;
pub mod reader;
pub mod store;
pub mod writer;

mod announced;
mod files;
mod leaves;
mod make_leaves;
mod scan;
mod shared;
mod slots;
mod space;
mod verify;

pub use catalogue::{Catalogue, SetInfo, Stored};
pub use error::{Damage, StoreError};
pub use reader::Reader;
pub use store::{Options, Store, Usage};
pub use writer::SetWriter;
