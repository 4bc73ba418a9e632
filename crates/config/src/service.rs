//! Keys that every service has: where it shows its state, and what it logs.

use std::net::SocketAddr;

use crate::{Field, Problem, Value, words};

/// Where metrics and health are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Nowhere.
    Off,
    /// HTTP on this address.
    Listen(SocketAddr),
}

/// The least severe event that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of every logger")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

words!(LogFormat, "text" => LogFormat::Text, "json" => LogFormat::Json);
words!(
    LogLevel,
    "error" => LogLevel::Error,
    "warn" => LogLevel::Warn,
    "info" => LogLevel::Info,
    "debug" => LogLevel::Debug,
    "trace" => LogLevel::Trace,
);

impl Field for Admin {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Text(text) | Value::Untyped(text) if text == "off" => Ok(Self::Off),
            _ => SocketAddr::read(value)
                .map(Self::Listen)
                .map_err(|problem| Problem(format!("{problem}; \"off\" serves no metrics"))),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "\"off\"".to_owned(),
            Self::Listen(address) => address.show(),
        }
    }
}
