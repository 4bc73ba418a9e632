//! Texts that people give: bounded, without control characters, and passwords that nothing shows.

use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::value::{BadValue, as_text};

/// A text with bounds: its check, and what would be right.
macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $wanted:literal, $example:literal, $pattern:literal, $is_right:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $type(String);
        as_text!($type, $example, $pattern);

        impl FromStr for $type {
            type Err = BadValue;

            fn from_str(text: &str) -> Result<Self, BadValue> {
                let is_right: fn(&str) -> bool = $is_right;
                if is_right(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadValue::new($wanted, text))
                }
            }
        }

        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// 1 to `max` characters, none a control character, the first and last visible.
fn is_line(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count())
        && !text.chars().any(char::is_control)
        && text.trim() == text
}

text!(
    /// A name for people: of an account, a device, a title, or the label of a key.
    Name,
    "1 to 100 characters without control characters, no blank first or last",
    "A quiet film",
    "^.{1,100}$",
    |text| is_line(text, 100)
);
text!(
    /// Some sentences, lines allowed; or none.
    Synopsis,
    "at most 2000 characters, line feeds the only control characters",
    "Two people wait for a third.",
    "^[\\s\\S]{0,2000}$",
    |text| text.chars().count() <= 2000
        && !text.chars().any(|each| each.is_control() && each != '\n')
);
text!(
    /// What a title is called in addresses and commands.
    Slug,
    "1 to 64 of a-z, 0-9 and -, no - first or last",
    "a-quiet-film",
    "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|each| matches!(each, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !text.starts_with('-')
        && !text.ends_with('-')
);
text!(
    /// What an account logs in as: a name or a mail address; the center does not write to it.
    Login,
    "3 to 100 of a-z, 0-9 and . _ + - @",
    "mara@example.org",
    "^[a-z0-9._+@-]{3,100}$",
    |text| (3..=100).contains(&text.len())
        && text.bytes().all(|each| {
            matches!(each, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'+' | b'-' | b'@')
        })
);
text!(
    /// What a payment system calls a payment, or why a refund was made.
    Reference,
    "1 to 200 characters without control characters, no blank first or last",
    "pay_7Qm2",
    "^.{1,200}$",
    |text| is_line(text, 200)
);

/// A password or a bearer token: 1 to 200 characters. Nothing shows it, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The longest, bytes.
    pub const MAX: usize = 200;

    /// `text` as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        if (1..=Self::MAX).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("must be 1 to 200 bytes"))
        }
    }
}

#[cfg(feature = "schema")]
crate::schema::text!(Secret, "correct horse battery", "^[\\s\\S]{1,200}$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_within_their_bounds_are_read() {
        for name in ["a", "Fünf Ärzte 🎬", "x\u{1F600}", &"ä".repeat(100)] {
            assert_eq!(&*name.parse::<Name>().unwrap(), name);
        }
        for slug in ["a", "film-2", &"s".repeat(64)] {
            assert!(slug.parse::<Slug>().is_ok(), "{slug}");
        }
        assert!("mara+tv@example.org".parse::<Login>().is_ok());
        assert!("one\ntwo".parse::<Synopsis>().is_ok() && "".parse::<Synopsis>().is_ok());
    }

    #[test]
    fn what_could_harm_a_log_a_path_or_a_terminal_is_refused() {
        for name in ["", " a", "a ", "a\r\nb", "a\0", "a\u{1b}[1m", &"ä".repeat(101)] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
        for slug in ["", "-a", "a-", "../a", "A", "a b", "ä", &"s".repeat(65)] {
            assert!(slug.parse::<Slug>().is_err(), "{slug:?}");
        }
        for login in ["ab", "Mara", "a b c", "a'; --", "a\nb"] {
            assert!(login.parse::<Login>().is_err(), "{login:?}");
        }
        assert!("a\r\nb".parse::<Synopsis>().is_err());
    }

    #[test]
    fn a_secret_is_bounded_and_not_shown() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("hunter2", "Secret"));
        for text in ["\"\"".to_owned(), format!("{:?}", "x".repeat(201))] {
            let error = serde_json::from_str::<Secret>(&text).unwrap_err();
            assert!(!error.to_string().contains("xx"), "{error}");
        }
    }
}
