//! The sink in small: its books balance, and what its checks are for is noticed. Nothing is timed.
#![forbid(unsafe_code)]

use std::time::Duration;

use clap::Parser;
use segcast_bench::measure::Binary;
use segcast_bench::sink::{self, Args, Sabotage, Setup, Subject};
use segcast_sysio::lab::bpf::TrainFilter;
use segcast_tests::needs::{self, Need, trial};

const NEEDS: [Need; 5] = [needs::tap, needs::iproute2, needs::io_uring, bpf, two_cores];

fn main() {
    needs::main(vec![
        trial("a_small_sink_balances", &NEEDS, a_small_sink_balances),
        trial("large_datagrams_balance", &NEEDS, large_datagrams_balance),
        trial("a_number_that_came_twice_is_noticed", &NEEDS, a_number_that_came_twice),
        trial("a_wrong_byte_is_noticed", &NEEDS, a_wrong_byte),
    ]);
}

fn bpf() -> Result<(), String> {
    let tried = TrainFilter::new(1, 1 << 16);
    tried.map(drop).map_err(|error| format!("eBPF programs, as root ({error})"))
}

fn two_cores() -> Result<(), String> {
    match segcast_sysio::cpu::allowed_cores() {
        Ok(cores) if cores.len() > 1 => Ok(()),
        other => Err(format!("two cores ({other:?})")),
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
    Binary { label: "this tree".into(), path: needs::segcast_binary() }
}

fn balances(more: &[&str]) {
    let run = sink::measure(&args(more), &[binary()]).unwrap_or_else(|error| panic!("{error:#}"));
    let outcome = &run.outcomes[0];
    println!("{}", run.table());
    assert!(outcome.trains_passed > 0, "no train was compared");
    assert!(outcome.served_gb_per_cpu_s.min > 0.0, "nothing was served");
    assert!(outcome.train_datagrams_mean.median > 1.0, "no trains");
    assert_eq!(outcome.major_faults, 0);
}

fn a_small_sink_balances() {
    balances(&["--sessions", "5", "--sample", "8"]);
}

fn large_datagrams_balance() {
    balances(&["--sessions", "2", "--datagram", "8952", "--sample", "2"]);
}

/// Serves for a while with a fault planted; gives what the checks say.
fn found(more: &[&str], sabotage: Sabotage) -> String {
    let args = args(more);
    let cores = args.cores.choose().expect("two cores");
    let setup = Setup { args: &args, binary: &binary(), flags: &[], cores, sabotage };
    let mut subject = Subject::start(&setup).unwrap_or_else(|error| panic!("{error:#}"));
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
