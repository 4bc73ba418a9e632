//! The journal's bytes: which title a part file is of, and one checksummed record for each segment in it.
//!
//! ```text
//! header, 80 bytes:  "SGCJRNL1" 8 | set 16 | SHA-256 of manifest page 0 32 | segments 4 | segment size 4
//!                    | true length 8 | 0 4 | CRC-32C of all before 4
//! record, 8 bytes:   segment number 4 | CRC-32C of the number, begun with the header's CRC 4
//! ```
//! All integers big-endian. Records are only ever appended. A torn or damaged record counts as not
//! there, and costs its segment one more fetch; records of another journal never fit this header.

use segcast_proto::ids::SetId;

use super::Bitmap;

/// Bytes of the header.
pub const HEADER: usize = 80;
/// Bytes of a record.
pub const RECORD: usize = 8;
const MAGIC: &[u8; 8] = b"SGCJRNL1";

/// What the bytes of a part file are part of. Two fetches with one identity can continue each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The set.
    pub set: SetId,
    /// SHA-256 of the manifest's root page.
    pub root_digest: [u8; 32],
    /// Number of segments.
    pub segments: u32,
    /// Bytes of a segment.
    pub segment_bytes: u32,
    /// True length of the title, bytes.
    pub length: u64,
}

/// Why a journal cannot be continued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Not a journal, or its header is damaged.
    #[error("this is not a journal of a fetch, or its first {HEADER} bytes are damaged")]
    NotAJournal,
    /// The part file is of another set.
    #[error("the part file belongs to set {found}, not to {wanted}")]
    OtherSet {
        /// The set in the journal.
        found: SetId,
        /// The set being fetched.
        wanted: SetId,
    },
    /// The set has the same name, but its manifest has changed.
    #[error("the part file was begun with another manifest of set {set}")]
    OtherManifest {
        /// The set.
        set: SetId,
    },
}

impl Identity {
    /// The journal's header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..24].copy_from_slice(&self.set.0);
        out[24..56].copy_from_slice(&self.root_digest);
        out[56..60].copy_from_slice(&self.segments.to_be_bytes());
        out[60..64].copy_from_slice(&self.segment_bytes.to_be_bytes());
        out[64..72].copy_from_slice(&self.length.to_be_bytes());
        let crc = crc32c::crc32c(&out[..76]);
        out[76..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// The record of `segment`.
    #[must_use]
    pub fn record(&self, segment: u32) -> [u8; RECORD] {
        record(self.seed(), segment)
    }

    /// Bytes of `segment` in the file: the last one is cut to the true length.
    #[must_use]
    pub fn segment_len(&self, segment: u32) -> usize {
        let start = u64::from(segment) * u64::from(self.segment_bytes);
        let rest = self.length.saturating_sub(start).min(u64::from(self.segment_bytes));
        usize::try_from(rest).unwrap_or(usize::MAX)
    }

    fn seed(&self) -> u32 {
        let header = self.encode();
        u32::from_be_bytes([header[76], header[77], header[78], header[79]])
    }
}

fn record(seed: u32, segment: u32) -> [u8; RECORD] {
    let number = segment.to_be_bytes();
    let mut out = [0; RECORD];
    out[..4].copy_from_slice(&number);
    out[4..].copy_from_slice(&crc32c::crc32c_append(seed, &number).to_be_bytes());
    out
}

/// Reads a journal's bytes: the segments it names.
///
/// # Errors
/// When the header is not that of `identity`.
pub fn read(bytes: &[u8], identity: &Identity) -> Result<Bitmap, JournalError> {
    let expected = identity.encode();
    let Some((header, records)) = bytes.split_at_checked(HEADER) else {
        return Err(JournalError::NotAJournal);
    };
    if header != expected {
        return Err(why_foreign(header, identity));
    }
    let seed = identity.seed();
    let mut map = Bitmap::new(identity.segments);
    for found in records.chunks_exact(RECORD) {
        let segment = u32::from_be_bytes([found[0], found[1], found[2], found[3]]);
        if found == record(seed, segment) {
            map.insert(segment);
        }
    }
    Ok(map)
}

/// `header` is whole but not that of `identity`: what is it?
fn why_foreign(header: &[u8], identity: &Identity) -> JournalError {
    let (body, crc) = header.split_at(76);
    if &body[..8] != MAGIC || crc != crc32c::crc32c(body).to_be_bytes() {
        return JournalError::NotAJournal;
    }
    let mut set = [0; 16];
    set.copy_from_slice(&body[8..24]);
    if set == identity.set.0 {
        JournalError::OtherManifest { set: identity.set }
    } else {
        JournalError::OtherSet { found: SetId(set), wanted: identity.set }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity() -> Identity {
        Identity {
            set: SetId([7; 16]),
            root_digest: [9; 32],
            segments: 100,
            segment_bytes: 73_728,
            length: 99 * 73_728 + 1,
        }
    }

    fn journal(segments: &[u32]) -> Vec<u8> {
        let id = identity();
        let mut bytes = id.encode().to_vec();
        segments.iter().for_each(|s| bytes.extend(id.record(*s)));
        bytes
    }

    #[test]
    fn reads_back_what_was_recorded() {
        let map = read(&journal(&[5, 0, 99, 5]), &identity()).unwrap();
        assert_eq!(map.iter().collect::<Vec<_>>(), [0, 5, 99]);
    }

    #[test]
    fn a_record_beyond_the_title_is_not_taken() {
        assert_eq!(read(&journal(&[100, u32::MAX]), &identity()).unwrap().count(), 0);
    }

    #[test]
    fn the_last_segment_ends_at_the_true_length() {
        assert_eq!(identity().segment_len(98), 73_728);
        assert_eq!(identity().segment_len(99), 1);
        assert_eq!(identity().segment_len(100), 0);
    }

    #[test]
    fn foreign_journals_are_told_apart() {
        let ours = identity();
        let other_set = Identity { set: SetId([8; 16]), ..ours };
        let other_manifest = Identity { root_digest: [0; 32], ..ours };
        assert_eq!(
            read(&journal(&[1]), &other_set),
            Err(JournalError::OtherSet { found: ours.set, wanted: other_set.set })
        );
        assert_eq!(
            read(&journal(&[1]), &other_manifest),
            Err(JournalError::OtherManifest { set: ours.set })
        );
        assert_eq!(read(b"something else", &ours), Err(JournalError::NotAJournal));
    }

    proptest! {
        /// A kill can cut the journal anywhere: all whole records before the cut are kept, no other.
        #[test]
        fn a_truncated_journal_keeps_its_whole_records(
            segments in prop::collection::vec(0u32..100, 0..60), cut in 0usize..600,
        ) {
            let mut bytes = journal(&segments);
            bytes.truncate(cut.max(HEADER));
            let whole = (bytes.len() - HEADER) / RECORD;
            let mut expected = Bitmap::new(100);
            segments[..whole].iter().for_each(|s| { expected.insert(*s); });
            prop_assert_eq!(read(&bytes, &identity()).unwrap(), expected);
        }

        /// Damage never adds a segment that was not recorded, and loses only records it touches.
        #[test]
        fn a_garbled_journal_invents_nothing(
            segments in prop::collection::vec(0u32..100, 1..60),
            hits in prop::collection::vec((HEADER..HEADER + 480, 1u8..), 1..20),
        ) {
            let mut bytes = journal(&segments);
            let mut touched = vec![false; segments.len()];
            for (at, mask) in hits {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                    touched[(at - HEADER) / RECORD] = true;
                }
            }
            let map = read(&bytes, &identity()).unwrap();
            prop_assert!(map.iter().all(|s| segments.contains(&s)));
            for (segment, touched) in segments.iter().zip(touched) {
                prop_assert!(touched || map.contains(*segment));
            }
        }

        #[test]
        fn a_garbled_header_is_refused(at in 0..HEADER, mask in 1u8..) {
            let mut bytes = journal(&[1, 2, 3]);
            bytes[at] ^= mask;
            prop_assert!(read(&bytes, &identity()).is_err());
        }
    }
}
