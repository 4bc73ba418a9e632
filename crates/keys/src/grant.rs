//! A grant: what a client needs to fetch and open titles, as one JSON text.
//!
//! The center writes it, the client reads it. It holds secrets: see [`crate::file`] for its mode. Keys in it are
//! the texts of [`crate::keytext`]; unknown fields are refused, since a misspelt one would be ignored silently.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use segcast_proto::ids::{BadSetId, SetId};
use segcast_proto::limits::{TOKEN_MAX, TOKEN_SETS_MAX};
use segcast_proto::segment::cipher::TitleKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::keytext::{self, KeyKind, KeyTextError};

/// The longest grant, bytes of JSON: a token, 16 titles and two keys take under 4 KiB.
pub const GRANT_MAX: usize = 16 << 10;

/// What a client needs to fetch and open titles.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The access token (section 6), as signed.
    pub token: Vec<u8>,
    /// The center's Ed25519 public key, which signed the token and the manifests.
    pub center_key: [u8; 32],
    /// The sets of the token in its order: the index is the set handle. 1 to 16.
    pub titles: Vec<GrantedTitle>,
    /// The client's X25519 private key, when the center made the pair.
    pub client_secret: Option<Zeroizing<[u8; 32]>>,
}

/// One title of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedTitle {
    /// Which set.
    pub set: SetId,
    /// Its title key; none for a clear set.
    pub key: Option<TitleKey>,
}

/// Why a text is no grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Longer than any grant.
    #[error("a grant of {0} bytes: at most {GRANT_MAX} are allowed")]
    TooLarge(usize),
    /// No JSON, or a field missing, unknown or of another type. The message names the place.
    #[error("not a grant: {0}")]
    Json(#[from] serde_json::Error),
    /// The token is no base64url, is empty, or too long.
    #[error("`token` must be 1 to {TOKEN_MAX} bytes in base64url without padding")]
    Token,
    /// No titles, or too many.
    #[error("`titles` has {0} sets: a token names 1 to {TOKEN_SETS_MAX}")]
    Titles(usize),
    /// A set named twice.
    #[error("`titles` names set {0} twice")]
    SetTwice(SetId),
    /// A set that is no set.
    #[error("`set`: {0}")]
    Set(#[from] BadSetId),
    /// A key that is no key.
    #[error("`{field}`: {error}")]
    Key {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: KeyTextError,
    },
}

impl Grant {
    /// The grant as JSON text, ready to be written to a file that only its owner can read.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let line = |kind, key: &[u8]| keytext::format(kind, key).trim_end().to_owned();
        let titles = self.titles.iter().map(|title| TitleText {
            set: title.set.to_string(),
            key: title.key.as_ref().map(|key| line(KeyKind::Title, key.as_bytes())),
        });
        let text = GrantText {
            token: URL_SAFE_NO_PAD.encode(&self.token),
            center_key: line(KeyKind::CenterPublic, &self.center_key),
            titles: titles.collect(),
            client_secret: self
                .client_secret
                .as_ref()
                .map(|secret| line(KeyKind::ClientSecret, secret.as_slice())),
        };
        let mut json = serde_json::to_string_pretty(&text).expect("strings and lists become JSON");
        json.push('\n');
        Zeroizing::new(json)
    }

    /// Reads a grant, with or without a byte order mark before it. The token's signature is not checked here: edges do that.
    ///
    /// # Errors
    /// [`GrantError`] for anything but a grant.
    pub fn from_json(text: &str) -> Result<Self, GrantError> {
        if text.len() > GRANT_MAX {
            return Err(GrantError::TooLarge(text.len()));
        }
        let text: GrantText = serde_json::from_str(keytext::without_mark(text))?;
        let token = URL_SAFE_NO_PAD.decode(&text.token).map_err(|_| GrantError::Token)?;
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Err(GrantError::Token);
        }
        if text.titles.is_empty() || text.titles.len() > TOKEN_SETS_MAX {
            return Err(GrantError::Titles(text.titles.len()));
        }
        let mut titles: Vec<GrantedTitle> = Vec::with_capacity(text.titles.len());
        for title in &text.titles {
            let set: SetId = title.set.parse()?;
            if titles.iter().any(|other| other.set == set) {
                return Err(GrantError::SetTwice(set));
            }
            let key = parse_key::<16>("key", KeyKind::Title, title.key.as_deref())?;
            titles.push(GrantedTitle { set, key: key.map(|bytes| TitleKey::new(*bytes)) });
        }
        let center_key = keytext::parse(KeyKind::CenterPublic, &text.center_key)
            .map_err(|error| GrantError::Key { field: "center_key", error })?;
        let secret = text.client_secret.as_deref();
        let client_secret = parse_key("client_secret", KeyKind::ClientSecret, secret)?;
        Ok(Self { token, center_key: *center_key, titles, client_secret })
    }
}

/// Shows no key and no token: a token is as good as a key to whoever has the client's.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("titles", &self.titles).finish_non_exhaustive()
    }
}

fn parse_key<const N: usize>(
    field: &'static str,
    kind: KeyKind,
    text: Option<&str>,
) -> Result<Option<Zeroizing<[u8; N]>>, GrantError> {
    let parse = |text| keytext::parse(kind, text).map_err(|error| GrantError::Key { field, error });
    text.map(parse).transpose()
}

/// The grant as it stands in JSON.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct GrantText {
    token: String,
    center_key: String,
    titles: Vec<TitleText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct TitleText {
    set: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant() -> Grant {
        let sealed = GrantedTitle { set: SetId([1; 16]), key: Some(TitleKey::new([2; 16])) };
        let clear = GrantedTitle { set: SetId([3; 16]), key: None };
        Grant {
            token: vec![0xFF, 0xFE, 4],
            center_key: [5; 32],
            titles: vec![sealed, clear],
            client_secret: Some(Zeroizing::new([6; 32])),
        }
    }

    #[test]
    fn a_grant_reads_back_what_was_written() {
        let mut grant = grant();
        assert_eq!(Grant::from_json(&grant.to_json()).unwrap(), grant);
        grant.client_secret = None;
        assert_eq!(Grant::from_json(&grant.to_json()).unwrap(), grant);
        let marked = format!("\u{feff}{}", *grant.to_json());
        assert_eq!(Grant::from_json(&marked).unwrap(), grant);
    }

    #[test]
    fn the_largest_grant_is_within_the_bound() {
        let title = |n| GrantedTitle { set: SetId([n; 16]), key: Some(TitleKey::new([n; 16])) };
        let titles = (0..16).map(title).collect();
        let largest = Grant { token: vec![0xFF; TOKEN_MAX], titles, ..grant() };
        assert!(largest.to_json().len() < 4096);
        assert_eq!(Grant::from_json(&largest.to_json()).unwrap(), largest);
    }

    #[test]
    fn anything_strange_is_refused_with_its_place() {
        let good = grant().to_json();
        let refuse = |from: &str, to: &str, message: &str| {
            assert!(good.contains(from), "{from}");
            let error = Grant::from_json(&good.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(message), "{error:?} does not say {message:?}");
        };
        refuse("\"token\"", "\"tokn\"", "unknown field `tokn`");
        refuse("\"key\"", "\"kye\"", "unknown field `kye`");
        refuse("__4E", "__4E=", "`token` must be");
        refuse("__4E", "", "`token` must be");
        refuse("segcast-center-public", "segcast-edge-public", "`center_key`: line 1 is a");
        refuse("segcast-title:AgIC", "segcast-title:Ag", "`key`: line 1");
        refuse("0101", "01", "`set`: a set is named by 32");
        refuse(&"03".repeat(16), &"01".repeat(16), "twice");
        refuse("}\n", "", "not a grant");
        let empty = Grant { titles: Vec::new(), ..grant() };
        assert!(matches!(Grant::from_json(&empty.to_json()), Err(GrantError::Titles(0))));
        let large = " ".repeat(GRANT_MAX + 1);
        assert!(matches!(Grant::from_json(&large), Err(GrantError::TooLarge(_))));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", grant());
        assert!(!shown.contains("2, 2") && !shown.contains("6, 6"), "{shown}");
        assert!(!shown.contains("255"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text: String) {
            prop_assert!(Grant::from_json(&text).is_err());
        }
    }
}
