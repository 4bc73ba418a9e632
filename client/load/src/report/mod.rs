//! Reports of a result: JSON with a published schema, interval log, text, HTML.

mod hlog;
mod html;
mod json;
mod text;

pub use hlog::Hlog;
pub use html::html;
pub use json::{SCHEMA_TEXT, json};
pub use text::text;
