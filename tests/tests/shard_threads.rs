//! What the threads of a serving shard do, seen from outside the process: no futex call while they serve, and faults counted
//! where memory is short.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use segcast_kit::metrics::metric;
use segcast_kit::needs::{self, trial};
use segcast_kit::process::memory_group::MemoryGroup;
use segcast_kit::process::product::Product;
use segcast_kit::process::{Edge, segcast, segcast_binary, succeed};

/// A title that takes a shard some hundred trains, and one that is twice what the edge may use.
const SMALL: u64 = 32 << 20;
const LARGE: u64 = 128 << 20;

fn main() {
    needs::main(vec![
        trial(
            "a_serving_shard_makes_no_futex_call_by_ring",
            &[needs::strace, needs::io_uring],
            || {
                no_futex_call("ring");
            },
        ),
        trial("a_serving_shard_makes_no_futex_call_by_mmsg", &[needs::strace], || {
            no_futex_call("mmsg");
        }),
        trial(
            "with_memory_for_half_the_title_the_bytes_are_right_and_faults_are_counted",
            &[needs::memory_groups],
            half_the_memory,
        ),
    ]);
}

/// The threads of a process whose names begin with `name`.
fn threads(process: u32, name: &str) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let named = |id: &u32| {
        let comm = std::fs::read_to_string(format!("/proc/{process}/task/{id}/comm"));
        comm.is_ok_and(|comm| comm.starts_with(name))
    };
    ids.filter(named).collect()
}

/// Fetches the whole title and checks that it is what was packed: zeros.
fn get(product: &Product, edge: &Edge, name: &str) {
    let mut command = segcast();
    command.args(["get", &edge.address, "--edge-key", &edge.key, "--grant"]).arg(product.grant());
    command.args(["--force", "--out"]).arg(product.path(name));
    succeed(&mut command);
    let mut file = std::fs::File::open(product.path(name)).expect("the title");
    let (mut piece, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut piece).expect("the title");
        if read == 0 {
            break;
        }
        assert!(piece[..read].iter().all(|&byte| byte == 0), "wrong bytes after {bytes}");
        bytes += read as u64;
    }
    println!("{bytes} right bytes");
}

fn no_futex_call(io: &str) {
    let product = Product::with_title(SMALL, 16);
    let arguments = ["--shards", "1", "--pin", "false", "--io", io];
    let edge =
        Edge::start(segcast(), &product.path(""), "127.0.0.1:0", &arguments).expect("an edge");
    // Once before, so that the shard is warm.
    get(&product, &edge, "first");

    let shards = threads(edge.child.id(), "segcast-0");
    assert_eq!(shards.len(), 1);
    let log = product.path("trace");
    let calls = "trace=futex,?futex_wait,?futex_wake,io_uring_enter,sendmsg,sendmmsg";
    let mut strace = Command::new("strace");
    strace.args(["-e", calls, "-o"]).arg(&log).args(["-p", &shards[0].to_string()]);
    let mut strace = strace.stderr(Stdio::piped()).spawn().expect("strace");
    let mut said = String::new();
    BufReader::new(strace.stderr.take().expect("piped")).read_line(&mut said).expect("strace");
    assert!(said.contains("attached"), "{said}");
    get(&product, &edge, "second");
    // It writes every call as it ends, and lets go of the thread when it dies.
    strace.kill().expect("strace runs");
    strace.wait().expect("strace ends");

    let trace = std::fs::read_to_string(&log).expect("a trace");
    let (futex, others): (Vec<&str>, Vec<&str>) =
        trace.lines().partition(|line| line.contains("futex"));
    let sends = others.iter().filter(|line| line.contains("enter(") || line.contains("msg("));
    let sends = sends.count();
    println!("{sends} calls of the driver, {} of futex", futex.len());
    assert!(sends > 20, "the shard was traced while it served: {sends} calls");
    assert!(futex.is_empty(), "{futex:?}");
}

/// Lets the page cache drop what lies below `folder`.
fn drop_from_page_cache(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            drop_from_page_cache(&path);
            continue;
        }
        let mut dd = Command::new("dd");
        dd.arg(format!("if={}", path.display())).args(["iflag=nocache", "count=0", "status=none"]);
        assert!(dd.status().expect("dd").success());
    }
}

fn half_the_memory() {
    let product = Product::with_title(LARGE, 16);
    drop_from_page_cache(&product.path("store"));
    let group = MemoryGroup::new(LARGE / 2).expect("a memory group");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let arguments = ["--shards", "1", "--pin", "false", "--admin", &free.to_string()];
    let command = group.command(&segcast_binary());
    let edge = Edge::start(command, &product.path(""), "127.0.0.1:0", &arguments).expect("an edge");
    for name in ["first", "second"] {
        get(&product, &edge, name);
    }
    assert!(group.highest().expect("a peak") <= LARGE / 2, "the limit holds");
    let process = edge.child.id();
    let shards = threads(process, "segcast-0").into_iter();
    let counted: u64 = shards.map(|thread| major_faults_of(process, thread)).sum();
    let exported = metric(free, "segcast_edge_major_faults_total");
    println!("{exported} major faults of the shard, {counted} by the kernel's count");
    assert_eq!(exported, counted, "what the kernel counts is exported");
    drop(edge);
    drop(group);
}

/// Of one thread (proc_pid_stat(5), field 12).
fn major_faults_of(process: u32, thread: u32) -> u64 {
    let path = format!("/proc/{process}/task/{thread}/stat");
    let stat = std::fs::read_to_string(path).expect("a thread");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    fields.split_whitespace().nth(12 - 3).and_then(|n| n.parse().ok()).expect("majflt")
}
