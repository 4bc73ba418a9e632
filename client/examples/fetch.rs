//! Fetches a title from an edge, and believes only what the center has signed.
//!
//! `cargo run -p segcast-client --example fetch -- ADDRESS EDGE-KEY GRANT FILE` is the last of three steps: `serve`, an
//! example of `segcast-edge`, prints the address and the key, and `pack`, one of `segcast-center`, writes the grant.
#![forbid(unsafe_code)]

use std::env::args;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use segcast_client::access::{Access, EdgeAddress};
use segcast_client::fetch::{Fetch, FetchConfig, Progress};
use segcast_keys::file;
use segcast_keys::keytext::{self, KeyKind};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [address, edge_key, grant, file] = &arguments[..] else {
        return Err("usage: fetch ADDRESS EDGE-KEY GRANT FILE".into());
    };

    // Who the edge is: with another key at this address there is no session.
    let public_key = *keytext::parse(KeyKind::EdgePublic, edge_key)?;
    let edge = EdgeAddress { address: address.parse()?, public_key };

    // What may be fetched, with which keys, and whose signature to believe.
    let access = Access::new(file::read_grant(Path::new(grant))?, None)?;

    // An edge may have several addresses. With several edges each segment would come from the one that is fastest. The manifest is checked with the center's
    // key, each segment with the manifest, and nothing else is ever written.
    let fetch = Fetch::start(&[vec![edge]], access, None, file.into(), FetchConfig::default())?;
    let mut show = |progress: &Progress| {
        eprint!("\r{} of {} bytes", progress.come, progress.total);
    };
    let report = fetch.run(&mut show, &AtomicBool::new(false))?;
    eprintln!();
    println!("{} bytes in {:.2} s, all verified", report.bytes, report.seconds);
    Ok(())
}
