//! Every bound of the store in one place, with the arithmetic behind it. Sizes in bytes.

use segcast_proto::limits::{MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX, SEGMENT_MAX, SYMBOL};
use segcast_proto::segment::geometry::LEAF;

/// Data in a segment file begins and repeats at multiples of this: the page size of the mapping.
pub const PAGE: u64 = 4096;
/// The size of a segment file unless the store was created with another.
pub const FILE_BYTES_DEFAULT: u64 = 1 << 30;
/// The smallest segment file: the file header, one page of slot headers, one page of data.
pub const FILE_BYTES_MIN: u64 = 3 * PAGE;
/// The largest segment file. With one-page slots that is 66 million slots, 4 GiB of slot headers.
pub const FILE_BYTES_MAX: u64 = 256 << 30;
/// Segment files in a store. Each is one mapping with an entry in the table of the SIGBUS handler, of which half is theirs.
/// 4 TiB at the default file size; a larger store is created with larger files.
pub const FILES_MAX: usize = segcast_sysio::mapped::sigbus::MAX_MAPPINGS / 2;
/// Sets whose `.leaves` files are mapped, which have the other half: as many as an edge can have groups.
pub const LEAVES_MAX: usize = segcast_sysio::mapped::sigbus::MAX_MAPPINGS / 2;
/// The leaves of the largest segment with its parity, bytes, rounded up: 29 120 symbols and a quarter more, 16 bytes each.
pub const SEGMENT_LEAVES_MAX: u32 = 1 << 20;
/// Sets in a store.
pub const SETS_MAX: usize = 65_536;
/// Manifest pages of one set: page numbers have 16 bits.
pub const PAGES_MAX: usize = 65_536;
/// Manifest pages of all sets together, which are kept in memory. A title of two hours in 1 MiB segments at
/// 8 Mbit/s has 2 MiB of them: room for 512 such titles.
pub const PAGE_MEMORY_DEFAULT: u64 = 1 << 30;
/// The largest `.set` file: 48 bytes of header, the lengths, the pages, the checksum. 4.0 GiB.
pub const SET_FILE_MAX: u64 = 48
    + 4 * PAGES_MAX as u64
    + MANIFEST_ROOT_MAX as u64
    + (PAGES_MAX as u64 - 1) * MANIFEST_PAGE_MAX as u64
    + 4;
/// Headers read at once by the scan of a start.
pub const SCAN_CHUNK: usize = 1 << 20;

const _: () = assert!(SEGMENT_MAX as u64 <= FILE_BYTES_MAX - 2 * PAGE);
const _: () = assert!(PAGE.is_power_of_two());
const _: () = assert!((SEGMENT_MAX / SYMBOL) * 5 / 4 * LEAF + LEAF <= SEGMENT_LEAVES_MAX as usize);
