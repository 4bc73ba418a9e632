//! Every bound of the protocol in one place (sections 1, 5 and 14). Sizes in bytes.

use crate::time::Duration;

/// The protocol version of this crate.
pub const VERSION: u8 = 1;
/// Clear header.
pub const CLEAR_HEADER: usize = 16;
/// Frame header, inside the ciphertext.
pub const FRAME_HEADER: usize = 16;
/// AEAD tag.
pub const TAG: usize = 16;
/// What a sealed packet costs beyond its payload.
pub const OVERHEAD: usize = CLEAR_HEADER + FRAME_HEADER + TAG;
/// The largest header extension: 16 units of 4 bytes.
pub const EXTENSION_MAX: usize = 16 * 4;
/// The datagram that every path carries.
pub const DATAGRAM_BASE: usize = 1200;
/// Datagram sizes that are tried, smallest first (section 11).
pub const DATAGRAM_LADDER: [usize; 3] = [DATAGRAM_BASE, 1440, 8952];
/// The largest datagram.
pub const DATAGRAM_MAX: usize = DATAGRAM_LADDER[2];
/// One symbol, fixed by the manifest format of version 1.
pub const SYMBOL: usize = 1152;
const _: () = assert!(SYMBOL + OVERHEAD == DATAGRAM_BASE);
/// A segment's size is a multiple of this: 64 symbols.
pub const SEGMENT_UNIT: usize = SYMBOL * 64;
/// The largest segment: 32 MiB, rounded down to a unit by the geometry.
pub const SEGMENT_MAX: usize = 32 << 20;
/// The longest train: an IPv4 UDP payload is at most 65 507 bytes.
pub const TRAIN_MAX: usize = 65_507;
/// Most datagrams in a train: the kernel's `UDP_MAX_SEGMENTS` was 64 before Linux 6.9.
pub const TRAIN_DATAGRAMS_MAX: usize = 64;

/// The largest manifest root.
pub const MANIFEST_ROOT_MAX: usize = 4 << 20;
/// The largest other manifest page.
pub const MANIFEST_PAGE_MAX: usize = 65_536;

/// An access token.
pub const TOKEN_MAX: usize = 700;
/// Sets in a token.
pub const TOKEN_SETS_MAX: usize = 16;
/// Clock difference that a token's validity allows.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(30);
/// How long sessions may go on after their token has expired, seconds.
pub const TOKEN_GRACE_MAX: u32 = 3600;

/// A keyset: 64 keys take under 5 KiB.
pub const KEYSET_MAX: usize = 8 << 10;
/// Keys in a keyset.
pub const KEYSET_KEYS_MAX: usize = 64;

/// Outstanding requests in a session; the width of STATUS' maps.
pub const REQUESTS_MAX: usize = 64;
/// Ranges in one REQUEST.
pub const RANGES_MAX: usize = 64;
/// Ranges in all queued requests of a session.
pub const QUEUED_RANGES_MAX: usize = 512;
/// DATA packets after which a REPORT is due. With 128, a link of 1 Gbit/s and 1 ms was used to 0.68 in simulation: the
/// delay is at least 1 ms, and a rate model needs to hear more than once in a round trip.
pub const REPORT_DATA_MAX: u32 = 32;
/// A REPORT is due a quarter of a round trip after the first DATA packet that it tells of, but no sooner than this …
pub const REPORT_DELAY_MIN: Duration = Duration::from_millis(1);
/// … and no later than this.
pub const REPORT_DELAY_MAX: Duration = Duration::from_millis(5);
/// Ranges in a REPORT.
pub const REPORT_RANGES_MAX: usize = 16;
/// The reason text of a CLOSE.
pub const REASON_MAX: usize = 64;

/// Channels of a set.
pub const GROUP_CHANNELS_MAX: usize = 32;
/// How often a member reports, at most …
pub const GROUP_REPORT_MIN: Duration = Duration::from_secs(1);
/// … and at least.
pub const GROUP_REPORT_MAX: Duration = Duration::from_secs(60);
/// A member that loses more of a channel than this, of 10 000, loses much.
pub const GROUP_LOSSY: u16 = 1000;
/// Entries of a GROUP_PROBE.
pub const PROBE_ENTRIES_MAX: usize = 16;

/// Packets in an epoch before the keys change.
pub const EPOCH_PACKETS: u64 = 1 << 23;
/// Packets in an epoch after which the session must end if they could not change.
pub const EPOCH_PACKETS_HARD: u64 = 1 << 24;
/// Time in an epoch before the keys change.
pub const EPOCH_TIME: Duration = Duration::from_secs(600);

/// A peer that leads into a new epoch must have sent this many packets in the last one, or spent [`LEAD_TIME`] in it:
/// a change costs some ten times what opening a packet does, so this keeps it below the cost of the packets.
pub const LEAD_PACKETS: u32 = 16;
/// See [`LEAD_PACKETS`].
pub const LEAD_TIME: Duration = Duration::from_secs(60);
/// Changes that may come sooner, because the packets before them were lost; each later one that does not pays for one.
pub const HASTE_MAX: u8 = 8;

/// A pending handshake.
pub const PENDING_TIME: Duration = Duration::from_secs(5);
/// A fresh ephemeral key in an unanswered handshake.
pub const HELLO_FRESH: Duration = Duration::from_secs(5);
/// The whole handshake.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
