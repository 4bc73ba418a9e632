//! The cipher suites (section 3).

use aws_lc_rs::aead;

/// How packets are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Suite {
    /// AES-128-GCM.
    #[default]
    Aes128Gcm = 1,
    /// AES-256-GCM.
    Aes256Gcm = 2,
}

impl Suite {
    /// Bytes of a packet key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    /// The cipher.
    pub(super) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
        }
    }
}

/// No suite of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown cipher suite {0}: 1 is AES-128-GCM, 2 is AES-256-GCM")]
pub struct UnknownSuite(pub u8);

impl TryFrom<u8> for Suite {
    type Error = UnknownSuite;

    fn try_from(byte: u8) -> Result<Self, UnknownSuite> {
        match byte {
            1 => Ok(Self::Aes128Gcm),
            2 => Ok(Self::Aes256Gcm),
            other => Err(UnknownSuite(other)),
        }
    }
}
