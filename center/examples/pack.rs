//! Packs a file into a store, makes the keys, and lets one client fetch the title for a day.
//!
//! `cargo run -p segcast-center --example pack -- FILE FOLDER` is the first of three steps. `serve`, an example of
//! `segcast-edge`, serves the store; `fetch`, one of `segcast-client`, fetches the title.
#![forbid(unsafe_code)]

use std::env::args_os;
use std::error::Error;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use segcast_center::grant::{Client, Limits, issue_grant};
use segcast_center::ingest::{PackOptions, pack};
use segcast_center::keys::KeyDir;
use segcast_keys::file;
use segcast_store::{Options, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args_os().skip(1).map(PathBuf::from);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pack FILE FOLDER".into());
    };

    // Keys are made when they are first wanted, and never overwritten. The edge will want its pair.
    let keys = KeyDir::open(&folder.join("keys"))?;
    keys.edge()?;

    // The title is cut into segments, each is sealed under a key of this title, and the center signs the manifest of their
    // digests: from now on no edge can change a byte without being caught.
    let store =
        Store::open(&folder.join("store"), &Options { create: true, ..Options::default() })?;
    let options = PackOptions { name: "an example".into(), ..PackOptions::default() };
    let packed = pack(&file, &options, &keys, &store, |_| {})?;
    println!("set {}: {} segments", packed.set, packed.geometry.segments());

    // A grant is a token that edges ask for, and the title's key, which edges never see. This one also holds the secret key
    // of a client that is made for it; a client that has a key of its own sends its public one instead.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let grant = issue_grant(&keys, &Client::fresh()?, &[packed.set], &Limits::default(), now)?;
    file::create_grant(&folder.join("grant"), &grant)?;
    println!("grant {}", folder.join("grant").display());
    Ok(())
}
