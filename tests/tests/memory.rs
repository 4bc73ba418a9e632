//! What an idle session costs an edge, in resident memory: at most 1 KiB (`docs/internals/invariants.md`).
//!
//! The shipped binary serves in its own process; a swarm of clients opens sessions, each with a key of its own,
//! and then says nothing. This counts what `session_memory` cannot see: the allocator's waste, the process's other
//! tables, and that rested sessions still work.
//!
//! With `SEGCAST_FULL=1`: 100 000 sessions beside one, and 60 idle seconds. Else 40 000 beside 8000, which have
//! touched what all share (buffers, and the memory of those that have not rested yet: two seconds of openings), and
//! 8 s: the time after which a session counts as idle, and a little. What is weighed before and after differs by a mebibyte
//! or so from run to run: with 12 000 sessions that was 100 B for each.

use std::error::Error;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_center::keys::KeyDir;
use segcast_kit::needs::{self, trial};
use segcast_kit::process::{Edge, SEGMENT, World, segcast};
use segcast_kit::session::swarm::Swarm;

/// The promise.
const IDLE_SESSION_MAX: u64 = 1024;

fn main() {
    needs::main(vec![trial("an_idle_session_costs_at_most_a_kibibyte", &[], || {
        idle_sessions().expect("an edge that serves");
    })]);
}

fn idle_sessions() -> Result<(), Box<dyn Error>> {
    let full = needs::full();
    let (first, sessions, idle) = if full { (1, 100_000, 60) } else { (8000, 40_000, 8) };
    let world = World::new();
    let mut bytes = vec![0; SEGMENT];
    ChaCha20Rng::seed_from_u64(3).fill_bytes(&mut bytes);
    let title = world.pack_bytes(bytes, &["--clear"]);
    let set = title.set.parse()?;
    let keys = KeyDir::open(&world.path("keys"))?;
    let sessions_max = (first + sessions).to_string();
    let arguments = ["--shards", "1", "--pin", "false", "--sessions-max", &sessions_max];
    let edge = Edge::start(segcast(), world.folder(), "127.0.0.1:0", &arguments)?;
    let mut swarm = Swarm::new(edge.socket_address(), keys.edge()?.public, 1);

    swarm.open(first, &keys.center()?, set)?;
    std::thread::sleep(Duration::from_secs(idle));
    let before = resident(edge.child.id())?;
    swarm.open(sessions, &keys.center()?, set)?;
    std::thread::sleep(Duration::from_secs(idle));
    let after = resident(edge.child.id())?;
    let each = after.saturating_sub(before) / sessions as u64;
    println!("{sessions} sessions: {before} B before, {after} B after, {each} B for each");

    let seed = 7;
    println!("fetching from seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut which: Vec<usize> = (0..1000).map(|_| rng.next_u32() as usize % sessions).collect();
    which.sort_unstable();
    which.dedup();
    swarm.fetch(&which, SEGMENT as u32, |at, bytes| {
        if bytes == title.bytes { Ok(()) } else { Err(format!("session {at} got wrong bytes")) }
    })?;
    println!("{} sessions fetched a segment each after {idle} idle seconds", which.len());
    assert!(each <= IDLE_SESSION_MAX, "{each} B for each session, over {IDLE_SESSION_MAX}");
    Ok(())
}

/// Resident memory of a process, its own and mapped, bytes.
fn resident(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
