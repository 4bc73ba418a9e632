//! Page 0 of a manifest: the description of a set, the digests of the other pages, and the signature.

use super::{Fields, SIGNATURE_CONTEXT};
use crate::crypto::hash::sha256;
use crate::crypto::sign::{self, KEY_ID_LEN, PUBLIC_KEY_LEN, SIGNATURE_LEN, SigningKey};
use crate::ids::SetId;
use crate::limits::{MANIFEST_ROOT_MAX, SYMBOL};
use crate::segment::cipher::{COMMITMENT_LEN, SALT_LEN};
use crate::segment::geometry::{DIGEST, Geometry, GeometryError, PAGES_MAX};
use crate::time::Duration;

/// The longest name of a title, bytes of UTF-8: its length is one byte.
pub const NAME_MAX: usize = 255;
/// Everything before the length of the name.
pub(super) const FIXED: usize = 120;
/// Where the key id lies.
const KEY_ID_AT: usize = 104;
const MAGIC: [u8; 4] = *b"SGCM";
const FORMAT: u16 = 1;
const FLAG_SEALED: u16 = 1;
const FLAG_CLEAR: u16 = 2;
const CODE_LEOPARD: u8 = 1;

/// The largest root that the page numbers allow lies within the bound of the format.
const _: () =
    assert!(FIXED + 1 + NAME_MAX + DIGEST * PAGES_MAX as usize + SIGNATURE_LEN < MANIFEST_ROOT_MAX);

/// How stored segments are made from plain ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Stored segments are ciphertext (the default).
    Sealed {
        /// Drawn anew by every pack run.
        salt: [u8; SALT_LEN],
        /// Tells title keys apart: [`crate::segment::cipher::SegmentCipher::commitment`].
        commitment: [u8; COMMITMENT_LEN],
    },
    /// Stored segments are the plain bytes; only sessions encrypt.
    Clear,
}

/// What a root says of a set, besides digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Which set.
    pub set: SetId,
    /// How the title is cut.
    pub geometry: Geometry,
    /// Sealed or clear.
    pub protection: Protection,
    /// The title's running time, whole milliseconds; zero when unknown.
    pub running_time: Duration,
    /// The title's name, at most [`NAME_MAX`] bytes.
    pub name: String,
}

/// Why a root is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Longer than any root.
    #[error("a manifest root of {0} bytes: at most {MANIFEST_ROOT_MAX} are allowed")]
    TooLarge(usize),
    /// Shorter than its fields, or bytes after the last one.
    #[error("the manifest root's length does not fit its fields")]
    Length,
    /// Signed by a key that is not among the center's.
    #[error("the manifest is signed by key {}, which is not a known center key", hex::encode(.0))]
    UnknownKey([u8; KEY_ID_LEN]),
    /// The signature is wrong.
    #[error("the manifest's signature is wrong")]
    Signature,
    /// A field out of its bounds.
    #[error("the manifest root's field `{0}` is out of its bounds")]
    Field(&'static str),
    /// A cut that cannot be.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// A checked root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    description: Description,
    key_id: [u8; KEY_ID_LEN],
    pages: Vec<[u8; DIGEST]>,
}

impl Root {
    /// Checks and reads page 0. The signature comes first: nothing but the key id is read before it.
    ///
    /// # Errors
    /// [`RootError`] for anything but a root that one of `center_keys` signed and that is valid.
    pub fn decode_and_verify(
        bytes: &[u8],
        center_keys: &[[u8; PUBLIC_KEY_LEN]],
    ) -> Result<Self, RootError> {
        if bytes.len() > MANIFEST_ROOT_MAX {
            return Err(RootError::TooLarge(bytes.len()));
        }
        let (signed, signature) =
            bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(RootError::Length)?;
        let key_id = signed
            .get(KEY_ID_AT..)
            .and_then(|rest| rest.first_chunk::<KEY_ID_LEN>())
            .ok_or(RootError::Length)?;
        // More than one key only by a collision of 8 bytes.
        let mut keys = center_keys.iter().filter(|key| sign::key_id(key) == *key_id).peekable();
        if keys.peek().is_none() {
            return Err(RootError::UnknownKey(*key_id));
        }
        let message = [SIGNATURE_CONTEXT, signed].concat();
        if !keys.any(|key| sign::verify(key, &message, signature)) {
            return Err(RootError::Signature);
        }
        Self::parse(signed)
    }

    /// Reads page 0 as it stands, whoever signed it: for who keeps a set and believes its own disk. Clients check what they
    /// are sent by [`decode_and_verify`](Self::decode_and_verify).
    ///
    /// # Errors
    /// [`RootError`] for anything that is no root.
    pub fn decode_unverified(bytes: &[u8]) -> Result<Self, RootError> {
        if bytes.len() > MANIFEST_ROOT_MAX {
            return Err(RootError::TooLarge(bytes.len()));
        }
        let (signed, _) = bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(RootError::Length)?;
        Self::parse(signed)
    }

    /// Reads everything before the signature.
    fn parse(signed: &[u8]) -> Result<Self, RootError> {
        let mut fields = Fields(signed);
        let fixed = fields.take::<FIXED>().ok_or(RootError::Length)?;
        let (description, key_id) = parse_fixed(&fixed)?;
        let [name_len] = fields.take().ok_or(RootError::Length)?;
        let name = fields.bytes(name_len.into()).ok_or(RootError::Length)?;
        let name = core::str::from_utf8(name).map_err(|_| RootError::Field("name"))?.to_owned();
        // The count is checked against the bytes that are there before anything is allocated for it.
        let (digests, rest) = fields.0.as_chunks::<DIGEST>();
        if digests.len() != description.geometry.pages() as usize || !rest.is_empty() {
            return Err(RootError::Length);
        }
        let description = Description { name, ..description };
        Ok(Self { description, key_id, pages: digests.to_vec() })
    }

    /// What the root says of the set.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The cut of the title.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.description.geometry
    }

    /// Which set.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.description.set
    }

    /// The id of the center's key that signed it.
    #[must_use]
    pub fn key_id(&self) -> [u8; KEY_ID_LEN] {
        self.key_id
    }

    /// SHA-256 of page `page` (1 to P); none for the root and past the end.
    #[must_use]
    pub fn page_digest(&self, page: u16) -> Option<&[u8; DIGEST]> {
        usize::from(page).checked_sub(1).and_then(|index| self.pages.get(index))
    }
}

/// The 120 bytes before the name; the name is left empty.
fn parse_fixed(fixed: &[u8; FIXED]) -> Result<(Description, [u8; KEY_ID_LEN]), RootError> {
    let mut fields = Fields(fixed);
    let f = &mut fields;
    let length = RootError::Length;
    expect("magic", f.take().ok_or(length)? == MAGIC)?;
    expect("format version", f.u16().ok_or(length)? == FORMAT)?;
    let flags = f.u16().ok_or(length)?;
    let set = SetId(f.take().ok_or(length)?);
    let true_length = f.u64().ok_or(length)?;
    let segment_bytes = f.u32().ok_or(length)?;
    let segments = f.u32().ok_or(length)?;
    expect("symbol size", usize::from(f.u16().ok_or(length)?) == SYMBOL)?;
    let parity = f.u16().ok_or(length)?;
    let geometry = Geometry::new(true_length, segment_bytes, parity != 0)?;
    expect("number of segments", segments == geometry.segments())?;
    expect("parity symbols", u32::from(parity) == geometry.parity_symbols())?;
    let [code] = f.take().ok_or(length)?;
    expect("code id", code == if parity == 0 { 0 } else { CODE_LEOPARD })?;
    expect("reserved", f.take::<3>().ok_or(length)? == [0; 3])?;
    let running_time = Duration::from_millis(f.u64().ok_or(length)?);
    let salt = f.take().ok_or(length)?;
    let commitment = f.take().ok_or(length)?;
    let protection = match flags {
        FLAG_SEALED => Protection::Sealed { salt, commitment },
        FLAG_CLEAR => {
            expect("salt", salt == [0; SALT_LEN])?;
            expect("key commitment", commitment == [0; COMMITMENT_LEN])?;
            Protection::Clear
        }
        _ => return Err(RootError::Field("flags")),
    };
    let key_id = f.take().ok_or(length)?;
    expect("segments on each page", f.u32().ok_or(length)? == geometry.entries_per_page())?;
    expect("number of pages", f.u32().ok_or(length)? == geometry.pages())?;
    let name = String::new();
    Ok((Description { set, geometry, protection, running_time, name }, key_id))
}

fn expect(field: &'static str, holds: bool) -> Result<(), RootError> {
    if holds { Ok(()) } else { Err(RootError::Field(field)) }
}

/// Encodes and signs page 0 over the other pages.
///
/// # Panics
/// When the name is too long, or there are more or fewer pages than the geometry says.
pub(super) fn encode_root(
    description: &Description,
    pages: &[Vec<u8>],
    center: &SigningKey,
) -> Vec<u8> {
    let geometry = &description.geometry;
    assert_eq!(pages.len(), geometry.pages() as usize, "one digest for each page");
    let (flags, salt, commitment) = match description.protection {
        Protection::Sealed { salt, commitment } => (FLAG_SEALED, salt, commitment),
        Protection::Clear => (FLAG_CLEAR, [0; SALT_LEN], [0; COMMITMENT_LEN]),
    };
    let parity = u16::try_from(geometry.parity_symbols()).expect("m is at most 7280");
    let millis = u64::try_from(description.running_time.as_millis()).unwrap_or(u64::MAX);
    let name_len = u8::try_from(description.name.len()).expect("the builder checked the name");
    let mut out = SIGNATURE_CONTEXT.to_vec();
    out.extend(MAGIC);
    out.extend(FORMAT.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend(description.set.0);
    out.extend(geometry.true_length().to_be_bytes());
    out.extend(geometry.segment_bytes().to_be_bytes());
    out.extend(geometry.segments().to_be_bytes());
    out.extend((SYMBOL as u16).to_be_bytes());
    out.extend(parity.to_be_bytes());
    out.extend([if parity == 0 { 0 } else { CODE_LEOPARD }, 0, 0, 0]);
    out.extend(millis.to_be_bytes());
    out.extend(salt);
    out.extend(commitment);
    out.extend(sign::key_id(&center.public()));
    out.extend(geometry.entries_per_page().to_be_bytes());
    out.extend(geometry.pages().to_be_bytes());
    out.push(name_len);
    out.extend(description.name.as_bytes());
    pages.iter().for_each(|page| out.extend(sha256(&[page])));
    let signature = center.sign(&out);
    out.drain(..SIGNATURE_CONTEXT.len());
    out.extend(signature);
    out
}
