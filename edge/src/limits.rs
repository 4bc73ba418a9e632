//! Every bound of the edge in one place, with the arithmetic behind it. Sizes in bytes.

use std::time::Duration;

use segcast_proto::ids::ReceiverIndex;
use segcast_proto::limits::TRAIN_MAX;

/// Shards: the receiver index has 8 bits for them, and the endpoint counts them in 8 bits.
pub const SHARDS_MAX: u16 = u8::MAX as u16;

/// Sessions over all shards: what one shard's receiver indexes can name, so that one shard may hold all.
pub const SESSIONS_MAX: u32 = ReceiverIndex::SLOTS;
/// Unfinished handshakes over all shards, at about 2 KiB each: 2 GiB.
pub const PENDING_MAX: u32 = 1 << 20;
/// What an idle session may hold (`docs/internals/invariants.md`).
pub const SESSION_BYTES: u64 = 1024;
/// What a pending handshake may hold: a HELLO, its WELCOME, keys.
pub const PENDING_BYTES: u64 = 2048;

/// Handshakes a second of a shard: no core computes as many.
pub const HANDSHAKES_PER_SECOND_MAX: u32 = 100_000;
/// Requests a second of one session: more than one segment each 10 µs is no player.
pub const REQUESTS_PER_SECOND_MAX: u32 = 100_000;

/// Requests waiting over all shards: 64 for each of a million sessions.
pub const REQUESTS_MAX: u32 = 64 << 20;
/// The shortest wait: below some round trips the edge runs dry between two requests of a client.
pub const EGRESS_QUEUE_MIN: Duration = Duration::from_millis(10);
/// The longest wait; no client is that patient.
pub const EGRESS_QUEUE_MAX: Duration = Duration::from_secs(60);

/// WELCOME carries the idle timeout in 16 bits of seconds.
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(u16::MAX as u64);
/// Shorter ones would close players that only pause between segments.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// The longest wait of a drain; a supervisor kills long before.
pub const DRAIN_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// After that, how long closing the sessions that are left may take: 2^20 of one shard at 51 200 a second, and what leaves.
pub const CUT_TIMEOUT: Duration = Duration::from_secs(25);

/// One train in a send buffer, on whole pages so that a zero-copy send has few fragments.
pub const SEND_BUFFER_BYTES: usize = 64 << 10;
const _: () = assert!(SEND_BUFFER_BYTES >= TRAIN_MAX);
/// The smallest send slab: one train in the kernel, one being sealed, two in between.
pub const SEND_SLAB_MIN: u64 = 4 * SEND_BUFFER_BYTES as u64;
/// The largest send slab; beyond the last-level cache it only costs memory bandwidth.
pub const SEND_SLAB_MAX: u64 = 64 << 20;

/// Wanted of the kernel for each socket: a burst of 2000 small datagrams (each is counted with its 2 KiB buffer).
pub const SOCKET_RECEIVE_BYTES: usize = 4 << 20;
/// Wanted of the kernel for each socket: 32 trains with the kernel's overhead.
pub const SOCKET_SEND_BYTES: usize = 4 << 20;

/// Attempts to bind addresses that are in use, and the pause before each: together one second. The kernel needs
/// some tens of milliseconds to take a killed edge's sockets back; a supervisor that restarts should not have to know.
pub const BIND_RETRIES: u32 = 50;
/// See [`BIND_RETRIES`].
pub const BIND_PAUSE: Duration = Duration::from_millis(20);

/// An announcement that is read: some addresses of at most 60 bytes a line, and a key.
pub const ANNOUNCEMENT_MAX: u64 = 64 << 10;

/// A client sends at most 1440 bytes at once in version 1 (HELLO 1200, REQUEST with 64 ranges 560); rounded up to half a page.
pub const RECEIVE_BUFFER_BYTES: usize = 2048;
/// The least that lets one turn take a burst.
pub const RECEIVE_BUFFERS_MIN: u16 = 64;
/// What a provided-buffer ring can hold.
pub const RECEIVE_BUFFERS_MAX: u16 = 1 << 15;

/// Trains sealed in one turn: at 64 KiB and 6 GB/s about 0.7 ms, so that received datagrams and timers never wait longer.
pub const TRAINS_PER_TURN: usize = 64;
/// Strays taken in one turn; each costs what a received datagram costs.
pub const STRAYS_PER_TURN: usize = 256;
/// Handed-over handshakes taken in one turn: at 250 µs each 4 ms.
pub const HANDOFFS_PER_TURN: usize = 16;
/// The longest sleep of a shard: counters and flags are looked at twice a second even when nothing comes.
pub const TURN_MAX: Duration = Duration::from_millis(500);

/// While all send buffers are in flight, a shard looks again after this time at the latest, should no completion come.
pub const BUFFER_WAIT_MAX: Duration = Duration::from_millis(10);
/// And not sooner than this, so that a due timer does not make it spin.
pub const BUFFER_WAIT_MIN: Duration = Duration::from_micros(200);
/// Turns in which a stopping shard lets its last trains leave, and the wait of each: 40 ms.
pub const FLUSH_TURNS: usize = 4;
/// See [`FLUSH_TURNS`].
pub const FLUSH_WAIT: Duration = Duration::from_millis(10);

/// Addresses served on: each costs a descriptor in every shard.
pub const ADDRESSES_MAX: usize = 256;

/// Stray datagrams in a shard's mailbox, 2 KiB each: 1 MiB a shard. With steering they are rare.
pub const MAILBOX_STRAYS: usize = 512;
/// Handed-over handshakes in a shard's mailbox, at most 2 KiB each. At 250 µs a handshake a quarter of a second's work.
pub const MAILBOX_HANDOFFS: usize = 1024;
/// What a mailbox holds when it is full: strays and handshakes of 2 KiB, and small change.
pub const MAILBOX_BYTES: u64 =
    ((MAILBOX_STRAYS + MAILBOX_HANDOFFS) * 2048 + POPULATE_QUEUE * 32) as u64;
/// Notes about groups in a shard's mailbox, to the owner of a set, and as many answers; of an edge with groups only. A
/// lost one costs a unicast.
pub const GROUP_NOTES: usize = 4096;
/// What a mailbox holds of them when it is full: notes of some 96 bytes, answers of some 32.
pub const GROUP_MAIL_BYTES: u64 = GROUP_NOTES as u64 * 128;
/// Of these, taken in one turn.
pub const GROUP_NOTES_PER_TURN: usize = 256;
/// Segments of which a shard keeps parity for groups, and the bytes of that: it sends it within a second.
pub const GROUP_PARITY: usize = 64;
/// See [`GROUP_PARITY`].
pub const GROUP_PARITY_BYTES: usize = 32 << 20;
/// Trains to groups in one turn, before all others: at 64 KiB and 6 GB/s some 0.2 ms.
pub const GROUP_TRAINS_PER_TURN: usize = 16;
/// How often the owner of sets repeats what it told of their groups.
pub const GROUP_TABLE_INTERVAL: Duration = Duration::from_secs(1);
/// Sessions over all shards that hear groups; the owner of a set has some 128 bytes for each.
pub const GROUP_MEMBERS: usize = 1 << 16;
/// Orders in a shard's mailbox: drain, cut and stop, each given once.
pub const MAILBOX_CONTROL: usize = 3;
/// Objects that one shard has asked for, to be read in or renewed, and that were not answered yet. More wait in the shard.
pub const POPULATE_QUEUE: usize = 1024;
/// Of those, objects that somebody waits for, or two for each thread if that is more. What a shard has asked for is read
/// in though its request may have gone meanwhile, and before what another session asks for next: so no more than keep
/// the threads busy.
pub const POPULATE_WAITED: usize = 16;
/// How often the edge looks whether its store has changed: what was packed is served a second later.
pub const STORE_INTERVAL: Duration = Duration::from_millis(500);
/// The same while a removed set is still shown somewhere, which ends within a few turns of the shards.
pub const STORE_LET_GO: Duration = Duration::from_millis(20);
/// Threads that populate.
pub const POPULATE_THREADS_MAX: u16 = 64;
/// Groups of an edge: more than any switch knows.
pub const MULTICAST_CHANNELS_MAX: u16 = 4096;
/// The least that is sent to a group, bits per second: a symbol each 10 ms.
pub const GROUP_RATE_MIN: u64 = 1_000_000;
/// How long a shard takes a segment for resident that the helper has read in and locked. While it is used it is renewed
/// after half of that, so that nobody waits for it again.
pub const RESIDENT_TRUST: Duration = Duration::from_secs(10);
/// The same for a segment beyond the budget of locks. Linux' reclaim needs two passes over an inactive page; under
/// memory pressure faults are counted, and the answer is more memory or a higher RLIMIT_MEMLOCK.
pub const RESIDENT_TRUST_UNLOCKED: Duration = Duration::from_secs(2);
/// Segments that are renewed at once; more renew later, or wait like new ones. 16 KiB a shard.
pub const RENEWALS: usize = 1024;
/// Locked segments: each splits the mapping of its file, and the kernel allows 65 530 mappings (vm.max_map_count).
pub const LOCKED_OBJECTS: usize = 16_384;
/// Objects of which a shard remembers that they are resident; 24 bytes each, 1.5 MiB a shard.
pub const RESIDENT_OBJECTS: usize = 1 << 16;

/// What that table takes.
pub const RESIDENT_BYTES: u64 = RESIDENT_OBJECTS as u64 * 24;

/// Records of closed sessions that wait for the session log, some 200 bytes each.
pub const RECORDS: usize = 4096;
/// How often the session log is written.
pub const RECORDS_INTERVAL: Duration = Duration::from_millis(100);
/// How long an edge that ends waits for the disk to take the last records.
pub const RECORDS_LAST: Duration = Duration::from_secs(2);
/// How often the side thread looks whether it is to stop.
pub const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// How long a request to the admin address may take to come, its whole head.
pub const ADMIN_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the request and its answer may take together.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to the admin address at once; one more displaces the oldest.
pub const ADMIN_CONNECTIONS: usize = 64;
/// Of these, of one IP address: a peer displaces its own first.
pub const ADMIN_CONNECTIONS_PER_PEER: usize = 16;
/// The largest head of a request, and what is buffered of each connection.
pub const ADMIN_BUFFER: usize = 16 << 10;

/// How often `/readyz` looks at what became of requests; it goes by the last 60 looks.
pub const REQUESTS_INTERVAL: Duration = Duration::from_secs(1);

/// Reports of shards, signals and orders that wait for the thread that runs the server: a shard sends three in
/// its life, people send few signals.
pub const REPORTS: usize = 4096;

/// Files that are read as center keys.
pub const CENTER_KEYS_MAX: usize = 256;
