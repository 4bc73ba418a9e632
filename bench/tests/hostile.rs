//! `hostile` in small, as its user runs it: the books balance, the transfer goes on, new clients get in. Nothing is timed.
#![forbid(unsafe_code)]

use std::process::Command;

use segcast_kit::needs::{self, Need, trial};
use segcast_kit::process::segcast_binary;
use serde_json::Value;

const ON_LOOPBACK: [Need; 1] = [needs::two_cores];
const ON_VETH: [Need; 3] = [needs::two_cores, needs::namespaces, needs::iproute2];

fn main() {
    needs::main(vec![
        trial("on_loopback_every_kind_is_in_the_books", &ON_LOOPBACK, || books("loopback")),
        trial("on_veth_every_kind_is_in_the_books", &ON_VETH, || books("veth")),
        trial("shares_are_measured_beside_sessions_for_single_bytes", &ON_LOOPBACK, shares),
        trial("wrong_arguments_are_named", &[], wrong_arguments_are_named),
    ]);
}

fn hostile(arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segcast-bench"));
    command.args(["hostile", "--json", "--title", "16", "--repeats", "1", "--rate", "2000"]);
    command.args(["--seconds", "0.2", "--warm", "0.1", "--handshakes", "100"]).args(arguments);
    command.arg("--server").arg(segcast_binary());
    let output = command.output().expect("the bench runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// What must be counted for a kind; whatever else is counted must make the sum right.
const EXPECTED: [(&str, &str); 9] = [
    ("random", "malformed"),
    ("mutated", "unauthentic"),
    ("replayed-hello", "cookie_demanded"),
    ("spoofed-hello", "refused: TOKEN_INVALID"),
    ("junk-cookie", "wrong_cookie"),
    ("proven-hello", "answered again"),
    ("replayed-data", "replayed"),
    ("oversized", "too_large"),
    ("tiny", "malformed"),
];

/// Two thousand datagrams a second fill no queue on any machine: the edge counts every one of them, and as what it is.
fn books(link: &str) {
    let (done, figures, said) = hostile(&["--link", link]);
    assert!(done, "{said}");
    let figures: Value = serde_json::from_str(&figures).expect("one JSON object");
    let kinds = figures["kinds"].as_array().expect("a list of kinds");
    assert_eq!(kinds.len(), EXPECTED.len());
    for (kind, (name, counted)) in kinds.iter().zip(EXPECTED) {
        assert_eq!(kind["kind"], name);
        assert!(kind["goodput_ratio"]["median"].as_f64() > Some(0.0), "{kind:#}");
        let fates = &kind["fates"];
        let number = |key: &str| fates[key].as_i64().unwrap_or(i64::MIN);
        let by_fate = fates["counted"].as_object().expect("counts by fate");
        let sum: i64 = by_fate.values().filter_map(Value::as_i64).sum();
        assert!(number("offered") > 0 && sum == number("arrived"), "{kind:#}");
        assert_eq!(number("offered"), sum + number("socket_full"), "{kind:#}");
        assert_eq!(number("lost_before"), 0, "{kind:#}");
        assert!(by_fate.get(counted).and_then(Value::as_i64) > Some(0), "{kind:#}");
    }
    let handshakes = figures["handshakes"].as_array().expect("a list of floods");
    let floods: Vec<&Value> = handshakes.iter().map(|of| &of["flood"]).collect();
    let hellos = ["replayed-hello", "spoofed-hello", "junk-cookie", "proven-hello"];
    // New clients, beside no flood and each of these, and the first ones once more.
    assert_eq!((floods[0], floods.last()), (&Value::Null, Some(&&Value::Null)));
    assert!(floods[1..floods.len() - 1].iter().copied().eq(hellos), "{floods:?}");
    for of in handshakes {
        assert!(of["share_opened"]["median"].as_f64() > Some(0.0), "{of:#}");
    }
}

/// Whose bytes they are is counted by the clients; how many depends on the machine.
fn shares() {
    let (done, figures, said) = hostile(&["--link", "loopback", "--shares"]);
    assert!(done, "{said}");
    let figures: Value = serde_json::from_str(&figures).expect("one JSON object");
    for figure in ["beside_alike_bytes_per_s", "beside_single_bytes_per_s", "kept"] {
        assert!(figures[figure]["median"].as_f64() > Some(0.0), "{figures:#}");
    }
}

fn wrong_arguments_are_named() {
    let (done, _, said) = hostile(&["--share", "2"]);
    assert!(!done && said.contains("--share 2"), "{said}");
    let (done, _, said) = hostile(&["--only", "nonsense"]);
    assert!(!done && said.contains("replayed-hello"), "{said}");
}
