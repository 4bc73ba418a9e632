//! One value of the configuration, and the types that keys can have.
//!
//! A file gives typed values, the environment and flags give text; both end in [`Field::read`], so that one
//! rule decides what is right for a key, wherever its value came from.

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

use crate::address;
use crate::amount::{self, Problem};

/// A value as it was given.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// TOML boolean.
    Bool(bool),
    /// TOML integer.
    Integer(i64),
    /// TOML float.
    Float(f64),
    /// TOML string.
    Text(String),
    /// TOML array.
    List(Vec<Value>),
    /// TOML table: no key has this type; kept for the message.
    Table(std::collections::BTreeMap<String, Value>),
    /// Text from the environment or a flag: its type is the key's.
    #[serde(skip)]
    Untyped(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(value) | Self::Untyped(value) => write!(f, "{value:?}"),
            Self::List(values) => {
                let items: Vec<_> = values.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Table(_) => f.write_str("a table"),
        }
    }
}

impl Value {
    /// A string, or text from the environment or a flag.
    ///
    /// # Errors
    /// When it is neither; `what` is expected, such as `example`.
    pub fn text(&self, what: &str, example: &str) -> Result<&str, Problem> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Ok(text),
            _ => Err(Problem(format!("{what} is a string, such as \"{example}\""))),
        }
    }

    /// The items of a list; text from the environment or a flag is split at commas.
    ///
    /// # Errors
    /// When it is neither; `example` is a list that would be right.
    pub fn items(&self, example: &str) -> Result<Vec<Self>, Problem> {
        match self {
            Self::List(values) => Ok(values.clone()),
            Self::Untyped(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Self::Untyped(item.to_owned()))
                .collect()),
            _ => Err(Problem(format!("a list is expected, such as {example}"))),
        }
    }
}

/// The type of a key.
pub trait Field: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// [`Problem`] says what would be right.
    fn read(value: &Value) -> Result<Self, Problem>;
    /// The value in TOML, as [`Field::read`] takes it.
    fn show(&self) -> String;
}

impl Field for bool {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Bool(value) => Ok(*value),
            Value::Untyped(text) if text == "true" => Ok(true),
            Value::Untyped(text) if text == "false" => Ok(false),
            _ => Err(Problem::new("true or false is expected, without quotes")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(value: &Value) -> Result<Self, Problem> {
                let number = match value {
                    Value::Integer(number) => Self::try_from(*number).ok(),
                    Value::Untyped(text) => text.parse().ok(),
                    _ => None,
                };
                number.ok_or_else(|| {
                    Problem(format!("a whole number from 0 to {} is expected, without quotes", Self::MAX))
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u16, u32);

impl Field for Duration {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Integer(number) => amount::read_duration(&number.to_string()),
            _ => amount::read_duration(value.text("a duration", "90s")?),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", amount::show_duration(*self))
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Field for Size {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Integer(number) => amount::read_size(&number.to_string()).map(Self),
            _ => amount::read_size(value.text("a size", "64 KiB")?).map(Self),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", amount::show_size(self.0))
    }
}

/// A cap on a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateCap {
    /// No cap.
    Unlimited,
    /// Bits per second.
    BitsPerSecond(u64),
}

impl Field for RateCap {
    fn read(value: &Value) -> Result<Self, Problem> {
        let example = "10 Gbit/s\" or \"unlimited";
        let text = match value {
            Value::Integer(number) => number.to_string(),
            _ => value.text("a bit rate", example)?.to_owned(),
        };
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        match amount::read_bit_rate(&text)? {
            0 => Err(Problem(format!("a rate of 0 serves nobody; \"{example}\""))),
            bits => Ok(Self::BitsPerSecond(bits)),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Unlimited => "\"unlimited\"".to_owned(),
            Self::BitsPerSecond(bits) => format!("{:?}", amount::show_bit_rate(*bits)),
        }
    }
}

impl Field for SocketAddr {
    fn read(value: &Value) -> Result<Self, Problem> {
        let right = "an address and a port, such as \"192.0.2.1:4870\" or \"[2001:db8::1]:4870\"";
        let text = value.text("an address", "192.0.2.1:4870")?;
        if let Some(read) = address::read(text, None) {
            return read;
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(Problem(format!("the port is missing: {right}")));
        }
        Err(Problem(format!("{right}, is expected (no host names)")))
    }

    fn show(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Field for PathBuf {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value.text("a path", "/var/lib/segcast/store")? {
            "" => Err(Problem::new("a path cannot be empty")),
            text => Ok(Self::from(text)),
        }
    }

    fn show(&self) -> String {
        // A basic string (toml.io, v1.0.0, "String") stays on one line, whatever is in it.
        TomlStringBuilder::new(&self.display().to_string()).as_basic().to_toml_value()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: &Value) -> Result<Self, Problem> {
        value.items("[\"one\", \"two\"]")?.iter().map(T::read).collect()
    }

    fn show(&self) -> String {
        let items: Vec<_> = self.iter().map(Field::show).collect();
        format!("[{}]", items.join(", "))
    }
}

/// Implements [`Field`] for an enum whose variants are fixed words.
#[macro_export]
macro_rules! words {
    ($type:ty, $($word:literal => $variant:expr),+ $(,)?) => {
        impl $crate::Field for $type {
            fn read(value: &$crate::Value) -> Result<Self, $crate::Problem> {
                match value {
                    $($crate::Value::Text(text) | $crate::Value::Untyped(text) if text == $word => Ok($variant),)+
                    _ => Err($crate::Problem(format!("one of {} is expected", [$(concat!("\"", $word, "\"")),+].join(", ")))),
                }
            }

            fn show(&self) -> String {
                $(if *self == $variant { return concat!("\"", $word, "\"").to_owned(); })+
                unreachable!("every variant has its word")
            }
        }
    };
}
#[cfg(test)]
mod tests {
    use super::*;

    fn untyped(text: &str) -> Value {
        Value::Untyped(text.to_owned())
    }

    #[test]
    fn text_from_the_environment_takes_the_type_of_its_key() {
        assert_eq!(bool::read(&untyped("true")), Ok(true));
        assert_eq!(u32::read(&untyped("64")), Ok(64));
        let list = Vec::<SocketAddr>::read(&untyped("127.0.0.1:1, [::1]:2")).expect("list");
        assert_eq!(list.len(), 2);
        assert!(bool::read(&Value::Text("true".to_owned())).is_err());
    }

    #[test]
    fn an_address_keeps_its_interface_and_is_what_it_is() {
        let shown = |text| SocketAddr::read(&untyped(text)).map(|address| address.show());
        assert_eq!(shown("[fe80::1%lo]:4870"), Ok("\"[fe80::1%1]:4870\"".to_owned()));
        assert_eq!(shown("[::ffff:127.0.0.1]:4870"), Ok("\"127.0.0.1:4870\"".to_owned()));
        let problem = shown("[fe80::1]:4870").expect_err("of which interface?");
        assert!(problem.to_string().contains("needs its interface"), "{problem}");
    }

    #[test]
    fn a_missing_port_is_named() {
        let problem = SocketAddr::read(&untyped("127.0.0.1")).expect_err("no port");
        assert!(problem.to_string().contains("port is missing"), "{problem}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(u16::read(&Value::Integer(65_536)).is_err());
        assert!(u32::read(&Value::Integer(-1)).is_err());
        assert!(u32::read(&Value::Float(1.0)).is_err());
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        assert!(RateCap::read(&untyped("0 Gbit/s")).is_err());
        assert_eq!(RateCap::read(&untyped("unlimited")), Ok(RateCap::Unlimited));
    }
}
