//! What is fuzzed: every parser, and operation sequences on both session state machines.
//!
//! Each target takes any bytes and panics where the product breaks a promise. `tests/fuzz/` runs them under libFuzzer;
//! `cargo test -p segcast-tests --test corpus` replays the corpora of `tests/fuzz/corpus`, whose seeds are written here.

/// Who takes part in a session.
pub mod cast;
/// Sessions of a client, with a server that does what the input says.
pub mod client;
/// The edge's configuration.
pub mod config;
/// What a client hears of groups.
pub mod groups;
/// HELLO, COOKIE, WELCOME.
pub mod handshake;
/// Objectives and stored results of loads.
pub mod load;
/// Manifests, geometry, repair.
pub mod manifest;
/// Both ends, with a network that does what the input says.
pub mod network;
/// Sealing and opening.
pub mod packets;
/// A fuzzer's bytes as decisions.
pub mod script;
/// What a fuzzer begins with.
pub mod seed;
/// All sessions of an edge's shards, with clients that do what the input says.
pub mod server;
/// The objects that are served.
pub mod shelf;
/// Files of the store, and the journal of a fetch.
pub mod store;
/// Keys, set ids, grants.
pub mod texts;
/// Tickets, certificates, keysets.
pub mod tickets;
/// Access tokens.
pub mod token;
/// Headers, messages, ranges.
pub mod wire;

use seed::Seed;

/// One fuzz target.
pub struct Target {
    /// Its binary in `tests/fuzz/`, and its folder in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Takes any bytes; panics where a promise is broken.
    pub run: fn(&[u8]),
    /// What a fuzzer begins with.
    pub seeds: fn() -> Vec<Seed>,
}

/// All targets.
pub const TARGETS: [Target; 14] = [
    Target { name: "wire", run: wire::run, seeds: wire::seeds },
    Target { name: "packets", run: packets::run, seeds: packets::seeds },
    Target { name: "handshake", run: handshake::run, seeds: handshake::seeds },
    Target { name: "token", run: token::run, seeds: token::seeds },
    Target { name: "tickets", run: tickets::run, seeds: tickets::seeds },
    Target { name: "texts", run: texts::run, seeds: texts::seeds },
    Target { name: "manifest", run: manifest::run, seeds: manifest::seeds },
    Target { name: "store", run: store::run, seeds: store::seeds },
    Target { name: "config", run: config::run, seeds: config::seeds },
    Target { name: "load", run: load::run, seeds: load::seeds },
    Target { name: "server", run: server::run, seeds: server::seeds },
    Target { name: "client", run: client::run, seeds: client::seeds },
    Target { name: "groups", run: groups::run, seeds: groups::seeds },
    Target { name: "network", run: network::run, seeds: network::seeds },
];
