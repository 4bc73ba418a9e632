//! The sink in small: its books balance, and what its checks are for is noticed. Nothing is timed.
#![forbid(unsafe_code)]

use std::time::Duration;

use clap::Parser;
use segcast_bench::drivers;
use segcast_bench::measure::Binary;
use segcast_bench::sink::{self, Args, Sabotage, Setup, Subject};
use segcast_kit::needs::{self, Need, trial};
use segcast_kit::process::segcast_binary;
use segcast_lab::bpf::TrainFilter;
use segcast_proto::limits::PENDING_TIME;

const NEEDS: [Need; 5] = [needs::tap, needs::iproute2, needs::io_uring, bpf, needs::two_cores];

fn main() {
    needs::main(vec![
        trial("a_small_sink_balances", &NEEDS, a_small_sink_balances),
        trial("large_datagrams_balance", &NEEDS, large_datagrams_balance),
        trial("lost_datagrams_hold_nothing_up", &NEEDS, lost_datagrams_hold_nothing_up),
        trial("a_session_is_kept_until_it_asks", &NEEDS, a_session_is_kept_until_it_asks),
        trial(
            "two_servers_are_measured_turn_by_turn",
            &NEEDS,
            two_servers_are_measured_turn_by_turn,
        ),
        trial("drivers_are_measured_turn_by_turn", &NEEDS, drivers_are_measured_turn_by_turn),
        trial("refusals_are_obeyed_and_told", &NEEDS, refusals_are_obeyed_and_told),
        trial("a_number_that_came_twice_is_noticed", &NEEDS, a_number_that_came_twice),
        trial("a_wrong_byte_is_noticed", &NEEDS, a_wrong_byte),
    ]);
}

fn bpf() -> Result<(), String> {
    let tried = TrainFilter::new(1, 1 << 16);
    tried.map(drop).map_err(|error| format!("eBPF programs, as root ({error})"))
}

/// On loopback as on the sink, with short trains; every byte that was compared is the title's, and none was lost.
fn drivers_are_measured_turn_by_turn() {
    #[derive(Parser)]
    struct Drivers {
        #[command(flatten)]
        args: drivers::Args,
    }
    let small =
        ["drivers", "--io", "ring,mmsg", "--trains", "4", "--title", "16", "--sessions", "4"];
    let short = ["--seconds", "0.3", "--warm", "0.1", "--repeats", "2"];
    let args = Drivers::parse_from(small.into_iter().chain(short)).args;
    let points = drivers::measure(&args, &binary()).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(points.len(), 2);
    for outcome in points.iter().flat_map(|point| &point.run.outcomes) {
        // On loopback the mean counts the few messages that go singly.
        let (served, train) = (outcome.served_gb_per_cpu_s.min, outcome.train_datagrams_mean.max);
        assert!(served > 0.0 && (1.0..4.5).contains(&train), "{}: {served} {train}", outcome.label);
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(more: &[&str]) -> Args {
    let small = ["sink", "--title", "16", "--seconds", "0.3", "--warm", "0.2", "--ramp", "0.1"];
    Line::parse_from(small.iter().chain(&["--repeats", "2"]).chain(more)).args
}

fn binary() -> Binary {
    Binary { label: "this tree".into(), path: segcast_binary() }
}

/// Starts a server with a fault; whatever fails is shown with its causes.
fn start(args: &Args, sabotage: Sabotage) -> Subject {
    let cores = args.cores.choose().expect("two cores");
    let (binary, flags) = (binary(), &args.server_flag);
    let setup = Setup { args, binary: &binary, flags, cores, sabotage };
    Subject::start(&setup).unwrap_or_else(|error| panic!("{error:#}"))
}

/// Serves until so many trains were compared, however long that takes here, and closes the books.
fn balances(more: &[&str], sabotage: Sabotage) {
    let mut subject = start(&args(more), sabotage);
    let mut compared = 0;
    for _ in 0..200 {
        subject.warm(Duration::from_millis(50)).unwrap_or_else(|error| panic!("{error:#}"));
        compared = subject.trains_compared();
        if compared >= 10 {
            break;
        }
    }
    assert!(compared >= 10, "{compared} trains were compared");
    let outcome = subject.finish().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(outcome.trains_passed >= compared);
}

fn a_small_sink_balances() {
    balances(&["--sessions", "5", "--sample", "8"], Sabotage::default());
}

fn large_datagrams_balance() {
    let more = ["--sessions", "2", "--datagram", "8952", "--sample", "2"];
    balances(&more, Sabotage::default());
}

/// Whatever is lost on the way to the server, HELLO, REQUEST or CANCEL: every session opens, serves, and comes to rest.
fn lost_datagrams_hold_nothing_up() {
    let sabotage = Sabotage { lost: 128, ..Sabotage::default() };
    balances(&["--sessions", "8", "--sample", "8"], sabotage);
}

/// While a second title is packed the first server waits, for longer than an edge keeps a handshake that nothing follows.
fn a_session_is_kept_until_it_asks() {
    let mut subject = start(&args(&["--sessions", "2", "--sample", "1"]), Sabotage::default());
    std::thread::sleep(PENDING_TIME + Duration::from_secs(1));
    subject.warm(Duration::from_millis(50)).unwrap_or_else(|error| panic!("{error:#}"));
    subject.finish().unwrap_or_else(|error| panic!("{error:#}"));
}

fn two_servers_are_measured_turn_by_turn() {
    let args = args(&["--sessions", "2", "--sample", "1"]);
    let run = sink::measure(&args, &[binary(), binary()]);
    let run = run.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{}", run.table());
    assert_eq!(run.outcomes.len(), 2);
}

/// Sessions ask for far more than the server promises: it refuses, they come again later, and the books balance.
fn refusals_are_obeyed_and_told() {
    let flag = "--server-flag=--egress-queue=10ms";
    let args = args(&["--sessions", "16", "--requests", "8", "--sample", "8", flag]);
    let mut subject = start(&args, Sabotage::default());
    for _ in 0..200 {
        subject.warm(Duration::from_millis(50)).unwrap_or_else(|error| panic!("{error:#}"));
        if subject.refused() >= 20 {
            break;
        }
    }
    assert!(subject.refused() >= 20, "{} were refused", subject.refused());
    subject.finish().unwrap_or_else(|error| panic!("{error:#}"));
}

/// Serves for a while with a fault planted; gives what the checks say.
fn found(more: &[&str], sabotage: Sabotage) -> String {
    let mut subject = start(&args(more), sabotage);
    let error = subject.warm(Duration::from_secs(30)).expect_err("the fault must be found");
    format!("{error:#}")
}

fn a_number_that_came_twice() {
    let sabotage = Sabotage { repeat_train: Some(20), ..Sabotage::default() };
    let error = found(&["--sessions", "3"], sabotage);
    assert!(error.contains("was used twice under one key"), "{error}");
}

fn a_wrong_byte() {
    let sabotage = Sabotage { wrong_byte: Some(500_000), ..Sabotage::default() };
    let error = found(&["--sessions", "3", "--sample", "1"], sabotage);
    assert!(error.contains("of the title is wrong"), "{error}");
}
