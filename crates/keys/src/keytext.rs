//! Keys as one line of text: `segcast-<kind>:<base64>`, as they stand in key files and grants.
//!
//! Center, edge and client all read them; only the text is handled here, its file in [`crate::file`]. The kind is
//! part of the line, so that a key in the wrong place is told from a right one. Errors never show key bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The longest key, bytes.
const KEY_MAX: usize = 32;
/// The longest key text, bytes: kind, colon, base64, line end. Enough of a file to read.
pub const TEXT_MAX: usize = 128;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The center's Ed25519 seed, 32 bytes.
    CenterSecret,
    /// The center's Ed25519 public key, 32 bytes.
    CenterPublic,
    /// An edge's X25519 private key, 32 bytes.
    EdgeSecret,
    /// An edge's X25519 public key, 32 bytes.
    EdgePublic,
    /// A client's X25519 private key, 32 bytes.
    ClientSecret,
    /// A client's X25519 public key, 32 bytes.
    ClientPublic,
    /// A title key, 16 bytes.
    Title,
    /// The master key of a center, 32 bytes: it wraps all others in the database.
    Master,
    /// The Ed25519 seed of a center's root, 32 bytes.
    RootSecret,
    /// The Ed25519 public key of a center's root, 32 bytes.
    RootPublic,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::CenterSecret,
        Self::CenterPublic,
        Self::EdgeSecret,
        Self::EdgePublic,
        Self::ClientSecret,
        Self::ClientPublic,
        Self::Title,
        Self::Master,
        Self::RootSecret,
        Self::RootPublic,
    ];

    /// What a line of this kind begins with, before the colon.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::CenterSecret => "segcast-center-secret",
            Self::CenterPublic => "segcast-center-public",
            Self::EdgeSecret => "segcast-edge-secret",
            Self::EdgePublic => "segcast-edge-public",
            Self::ClientSecret => "segcast-client-secret",
            Self::ClientPublic => "segcast-client-public",
            Self::Title => "segcast-title",
            Self::Master => "segcast-master",
            Self::RootSecret => "segcast-root-secret",
            Self::RootPublic => "segcast-root-public",
        }
    }

    /// The key's length, bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no key is empty")]
    pub const fn len(self) -> usize {
        if matches!(self, Self::Title) { 16 } else { KEY_MAX }
    }

    /// Whether nobody but its owner may read it.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        !matches!(
            self,
            Self::CenterPublic | Self::EdgePublic | Self::ClientPublic | Self::RootPublic
        )
    }

    /// The kind that `line` begins with, and what follows the colon.
    fn split(line: &str) -> Option<(Self, &str)> {
        let (prefix, rest) = line.split_once(':')?;
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix).map(|kind| (kind, rest))
    }
}

/// What is wrong with a key text, and what would be right. Never shows key bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// The line does not begin with a kind.
    #[error("line 1 is no key: it must be `{}:` and the base64 of {} bytes", .expected.prefix(), .expected.len())]
    NoKind {
        /// The kind asked for.
        expected: KeyKind,
    },
    /// A key, but for something else.
    #[error("line 1 is a `{}` key: here must be a `{}` key", .found.prefix(), .expected.prefix())]
    WrongKind {
        /// The kind there is.
        found: KeyKind,
        /// The kind asked for.
        expected: KeyKind,
    },
    /// After the colon comes no base64.
    #[error("line 1: what follows `{}:` is not base64 (RFC 4648, with padding)", .kind.prefix())]
    Base64 {
        /// The kind.
        kind: KeyKind,
    },
    /// A key of the wrong length.
    #[error("line 1: a `{}` key has {} bytes, not {found}", .kind.prefix(), .kind.len())]
    Length {
        /// The kind.
        kind: KeyKind,
        /// Bytes there are.
        found: usize,
    },
    /// Something after the first line.
    #[error("line 2: a key is one line, and nothing may follow it")]
    SecondLine,
}

/// The line of a key, with its line end.
///
/// # Panics
/// When `key` is not as long as its kind says: lengths are the caller's constants.
#[must_use]
pub fn format(kind: KeyKind, key: &[u8]) -> Zeroizing<String> {
    assert_eq!(key.len(), kind.len(), "a {} key", kind.prefix());
    // Room for all of it: growing would leave copies of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
    text.push_str(kind.prefix());
    text.push(':');
    STANDARD.encode_string(key, &mut text);
    text.push('\n');
    text
}

/// `text` without the byte order mark that some editors put before UTF-8 (U+FEFF).
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The key in `text`, which is one line of this kind; its line end may be missing, and a byte order mark before it.
///
/// # Errors
/// [`KeyTextError`] for anything else.
///
/// # Panics
/// When `N` is not the length of the kind.
pub fn parse<const N: usize>(
    kind: KeyKind,
    text: &str,
) -> Result<Zeroizing<[u8; N]>, KeyTextError> {
    assert_eq!(N, kind.len(), "a {} key", kind.prefix());
    let text = without_mark(text);
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (found, base64) = KeyKind::split(line).ok_or(KeyTextError::NoKind { expected: kind })?;
    if found != kind {
        return Err(KeyTextError::WrongKind { found, expected: kind });
    }
    if !rest.is_empty() {
        return Err(KeyTextError::SecondLine);
    }
    // One more block than the longest key needs, so that a key slightly too long is decoded and counted.
    let mut buffer = Zeroizing::new([0; KEY_MAX + 16]);
    let length = STANDARD.decode_slice(base64, buffer.as_mut_slice()).map_err(|error| {
        use base64::DecodeSliceError::{DecodeError, OutputSliceTooSmall};
        match error {
            DecodeError(_) => KeyTextError::Base64 { kind },
            OutputSliceTooSmall => KeyTextError::Length { kind, found: base64.len() / 4 * 3 },
        }
    })?;
    if length != N {
        return Err(KeyTextError::Length { kind, found: length });
    }
    let mut key = Zeroizing::new([0; N]);
    key.copy_from_slice(&buffer[..N]);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_reads_back_what_was_written() {
        for kind in KeyKind::ALL {
            let key: Vec<u8> = (100..).take(kind.len()).collect();
            let text = format(kind, &key);
            assert!(text.len() <= TEXT_MAX && text.ends_with('\n'));
            let marked = format!("\u{feff}{}", *text);
            assert!(marked.len() <= TEXT_MAX);
            for text in [text.as_str(), text.trim_end(), &text.replace('\n', "\r\n"), &marked] {
                match kind {
                    KeyKind::Title => assert_eq!(parse::<16>(kind, text).unwrap()[..], key),
                    _ => assert_eq!(parse::<32>(kind, text).unwrap()[..], key),
                }
            }
        }
    }

    #[test]
    fn a_line_is_as_documented() {
        let text = format(KeyKind::Title, &[0; 16]);
        assert_eq!(*text, "segcast-title:AAAAAAAAAAAAAAAAAAAAAA==\n");
    }

    #[test]
    fn errors_say_what_was_found_and_what_would_be_right() {
        use KeyKind::{CenterPublic, EdgeSecret};
        let parse = |text: &str| parse::<32>(EdgeSecret, text).unwrap_err();
        let other = format(CenterPublic, &[1; 32]);
        let good = format(EdgeSecret, &[1; 32]);
        let wrong = KeyTextError::WrongKind { found: CenterPublic, expected: EdgeSecret };
        assert_eq!(parse(&other), wrong);
        let no_kind = KeyTextError::NoKind { expected: EdgeSecret };
        for text in ["", "\n", "AQEB", "edge:AQEB", &good[1..], "-----BEGIN KEY-----"] {
            assert_eq!(parse(text), no_kind, "{text:?}");
        }
        assert_eq!(parse(&format!("{}\n", *good)), KeyTextError::SecondLine);
        let length = |found| KeyTextError::Length { kind: EdgeSecret, found };
        assert_eq!(parse("segcast-edge-secret:AQEB"), length(3));
        assert_eq!(parse(&format!("segcast-edge-secret:{}", "AQEB".repeat(12))), length(36));
        assert_eq!(parse(&format!("segcast-edge-secret:{}", "AQEB".repeat(400))), length(1200));
        let base64 = KeyTextError::Base64 { kind: EdgeSecret };
        for bad in
            [good.replace('=', ""), good.replace("AQEB", "A EB"), good.replace("AQE=", "AQF=")]
        {
            assert_eq!(parse(&bad), base64, "{bad:?}");
        }
        assert_eq!(
            wrong.to_string(),
            "line 1 is a `segcast-center-public` key: here must be a `segcast-edge-secret` key"
        );
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text: String, tail in "[A-Za-z0-9+/=\n]{0,80}") {
            let _ = parse::<32>(KeyKind::EdgeSecret, &text);
            let _ = parse::<16>(KeyKind::Title, &format!("segcast-title:{tail}"));
        }
    }
}
