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

use libtest_mimic::{Arguments, Failed, Trial};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_center::keys::KeyDir;
use segcast_kit::needs::segcast_binary;
use segcast_kit::process::{Edge, run};
use segcast_kit::session::swarm::Swarm;
use segcast_proto::ids::SetId;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The promise.
const IDLE_SESSION_MAX: u64 = 1024;
const SEGMENT: u32 = 73_728;

fn main() {
    let arguments = Arguments::from_args();
    let trial = Trial::test("an_idle_session_costs_at_most_a_kibibyte", || {
        idle_sessions().map_err(|error| Failed::from(error.to_string()))
    });
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

fn idle_sessions() -> Result<(), Box<dyn Error>> {
    let full = std::env::var("SEGCAST_FULL").is_ok_and(|value| value == "1");
    let (first, sessions, idle) = if full { (1, 100_000, 60) } else { (8000, 40_000, 8) };
    let folder = tempfile::tempdir()?;
    let binary = segcast_binary();
    let (set, title) = pack(&binary, folder.path())?;
    let keys = KeyDir::open(&folder.path().join("keys"))?;
    let sessions_max = (first + sessions).to_string();
    let arguments = ["--shards", "1", "--pin", "false", "--sessions-max", &sessions_max];
    let edge = Edge::start(Command::new(&binary), folder.path(), "127.0.0.1:0", &arguments)?;
    let mut swarm = Swarm::new(edge.address, keys.edge()?.public, 1);

    swarm.open(first, &keys.center()?, set)?;
    std::thread::sleep(Duration::from_secs(idle));
    let before = resident(edge.process.id())?;
    swarm.open(sessions, &keys.center()?, set)?;
    std::thread::sleep(Duration::from_secs(idle));
    let after = resident(edge.process.id())?;
    let each = after.saturating_sub(before) / sessions as u64;
    println!("{sessions} sessions: {before} B before, {after} B after, {each} B for each");

    let seed = 7;
    println!("fetching from seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut which: Vec<usize> = (0..1000).map(|_| rng.next_u32() as usize % sessions).collect();
    which.sort_unstable();
    which.dedup();
    swarm.fetch(&which, SEGMENT, |at, bytes| {
        if bytes == title { Ok(()) } else { Err(format!("session {at} got wrong bytes")) }
    })?;
    println!("{} sessions fetched a segment each after {idle} idle seconds", which.len());
    if each > IDLE_SESSION_MAX {
        return Err(format!("{each} B for each session, over {IDLE_SESSION_MAX}").into());
    }
    Ok(())
}

/// Packs a clear title of one segment; gives its set and its bytes.
fn pack(binary: &Path, folder: &Path) -> Result<(SetId, Vec<u8>), Box<dyn Error>> {
    let mut title = vec![0; SEGMENT as usize];
    ChaCha20Rng::seed_from_u64(3).fill_bytes(&mut title);
    std::fs::write(folder.join("title"), &title)?;
    let mut pack = vec!["pack", "title", "--out", "store", "--keys", "keys", "--clear"];
    pack.extend(["--segment-size", "73728 B", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&run(folder, binary, &pack))?;
    let set = report["set"].as_str().ok_or("pack names no set")?.parse()?;
    Ok((set, title))
}

/// Resident memory of a process, its own and mapped, bytes.
fn resident(process: u32) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(kib.parse::<u64>()? * 1024)
}
