//! Drivers that wrap an executor, behind features of the same names and for comparison.

#[cfg(feature = "glommio")]
pub mod on_glommio;
#[cfg(feature = "tokio-uring")]
pub mod on_tokio_uring;
mod tasks;
