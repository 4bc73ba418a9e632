//! An edge on loopback: it serves a store until its standard input ends.
//!
//! `cargo run -p segcast-edge --example serve -- FOLDER [ADDRESS]` is the second of three steps, after `pack`, an example of
//! `segcast-center`. What it prints is what `fetch`, an example of `segcast-client`, must know.
#![forbid(unsafe_code)]

use std::env::args;
use std::error::Error;
use std::io;
use std::path::Path;

use segcast_config::ExitCode;
use segcast_edge::Server;
use segcast_edge::config::{Admin, Config};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args().skip(1);
    let folder = arguments.next().ok_or("usage: serve FOLDER [ADDRESS]")?;
    let address = arguments.next().unwrap_or("127.0.0.1:4870".into());

    // Everything else is as `edge/default.toml` says. An edge needs its own secret key, and the public keys of the centers
    // whose tokens it believes.
    let keys = Path::new(&folder).join("keys");
    let config = Config {
        listen: vec![address.parse()?],
        store: Path::new(&folder).join("store"),
        key_file: keys.join("edge.key"),
        center_keys: vec![keys.join("center.pub")],
        shards: 1,
        pin: false,
        admin: Admin::Off,
        ..Config::default()
    };

    // It serves when `start` returns: one thread for each shard, with sockets, sessions and memory of its own.
    let server = Server::start(config)?;
    print!("{}", server.announcement());

    // To drain is to refuse newcomers, and to let those who are here finish.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    server.drain();
    match server.join() {
        ExitCode::Success => Ok(()),
        other => Err(format!("the edge ended with {other:?}").into()),
    }
}
