//! Keys and grants as texts, and the one policy for the files that hold them.
//!
//! [`keytext`] is a key as one line, [`grant`] what a client is given as JSON, [`mod@file`] how either is read and
//! written: a secret that others than its owner can read is refused, a new file is complete or not there,
//! and none is ever overwritten.
#![forbid(unsafe_code)]

pub mod file;
pub mod grant;
pub mod keytext;
