//! What all measurements share: processor time, repeats and their medians, the server's process, and how figures are
//! shown.

mod cpu;
pub(crate) mod metrics;
mod output;
mod pinned;
pub(crate) mod process;
mod repeats;
mod server;
pub(crate) mod veth;

pub use cpu::{CpuClocks, CpuTime, CpuUse};
pub use output::{OutputArgs, Table, digits};
pub use pinned::{Cores, CoresArgs, on_core};
pub use repeats::{Band, Repeats};
pub use server::{Binary, Server, ServerSpec, build_binary, build_binary_with};
