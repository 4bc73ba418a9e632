//! Segments that are on disk only: no shard waits for them, and sessions on others do not notice.
#![forbid(unsafe_code)]

use std::path::Path;

use rustix::fs::{Advice, fadvise};
use segcast_edge::Server;
use segcast_edge::config::{Config, Io};
use segcast_kit::needs;
use segcast_kit::server::{
    SEGMENT, SEGMENTS, World, end, fetch_segments, metric, segment_file, wait_for,
};
use segcast_sysio::mapped::{MappedFile, page_bytes};

/// The first half of the title is in use, the second is only on disk.
const HOT: u32 = SEGMENTS / 2;
const COLD: u32 = SEGMENTS - HOT;
/// How often the hot half is fetched while the cold one is.
const ROUNDS: u32 = 5;

/// Bytes of a file that are not in the page cache (mincore(2)).
fn absent_bytes(file: &Path) -> usize {
    let length = std::fs::metadata(file).expect("file").len();
    let mapped = MappedFile::open(file, length).expect("mapped");
    let pages = (0..mapped.len()).step_by(page_bytes());
    pages.filter(|&at| !mapped.is_resident(at..at + 1)).count() * page_bytes()
}

/// Lets the page cache drop what nobody has mapped.
fn drop_from_page_cache(path: &Path) {
    let file = std::fs::File::open(path).expect("file");
    fadvise(&file, 0, None, Advice::DontNeed).expect("fadvise");
}

const WAITS: &str = "segcast_edge_segment_waits_total";
const FAULTS: &str = "segcast_edge_major_faults_total";
const POPULATED: &str = "segcast_edge_populated_total{result=\"ready\"}";

#[test]
fn a_cold_title_is_read_in_without_a_fault_and_without_a_wait_for_others() {
    if needs::missing("a_cold_title_is_read_in", &[needs::disk]) {
        return;
    }
    let world = World::new();
    let file = segment_file(&world.path("store"));
    let server = Server::start(Config { shards: 1, ..world.config(Io::Auto) }).expect("start");
    let address = server.local_addresses()[0];
    let client = |number| world.client(&world.center, &server, address, number);
    let (mut hot, mut cold) = (client(1), client(2));
    fetch_segments(&mut hot, 0..HOT);
    wait_for(&server, POPULATED, |n| n >= u64::from(HOT));
    drop_from_page_cache(&file);
    let absent = absent_bytes(&file);
    assert!(absent >= (COLD * SEGMENT) as usize, "only {absent} bytes are absent");
    let (faults, waits) = (metric(&server, FAULTS), metric(&server, WAITS));

    std::thread::scope(|scope| {
        scope.spawn(|| fetch_segments(&mut cold, HOT..SEGMENTS));
        (0..ROUNDS).for_each(|_| fetch_segments(&mut hot, 0..HOT));
    });
    // Reports may still make work, but nothing is asked for any more.
    wait_for(&server, POPULATED, |n| n >= u64::from(SEGMENTS));
    assert_eq!(metric(&server, FAULTS), faults, "a shard waited for the disk");
    let still = absent_bytes(&file);
    assert!(still <= absent - (COLD * SEGMENT) as usize, "{still} of {absent} bytes are absent");
    // Where the limit of locked memory is too low for a title this small, the hot half is trusted for 2 s only.
    let locked = metric(&server, "segcast_edge_locked_bytes");
    if locked == u64::from(SEGMENTS * SEGMENT) {
        let waited = metric(&server, WAITS) - waits;
        assert_eq!(waited, u64::from(COLD), "only the cold ones were waited for");
    }
    end(server);
}
