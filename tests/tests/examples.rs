//! The three examples, one after another, as a newcomer runs them: what is fetched is what was packed.
#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Stdio};

use segcast_kit::process::{Edge, example, run};

#[test]
fn what_one_example_packs_and_the_second_serves_the_third_fetches() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = folder.path();
    // Several segments, and a last one that is not full.
    let title: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
    fs::write(here.join("title"), &title).expect("a title");

    let said = run(here, &example("pack"), &["title", "."]);
    assert!(said.contains("set ") && said.contains("grant "), "{said}");

    let mut serve = Command::new(example("serve"));
    serve.current_dir(here).args([".", "127.0.0.1:0"]).stdin(Stdio::piped());
    let mut edge = Edge::serve(&mut serve).expect("it serves");

    let arguments = [&edge.address, &edge.key, "grant", "fetched"];
    let said = run(here, &example("fetch"), &arguments);
    assert!(said.contains("3000000 bytes"), "{said}");
    assert!(fs::read(here.join("fetched")).expect("a file") == title, "the bytes differ");

    drop(edge.child.stdin.take());
    assert!(edge.child.wait().expect("it ends").success(), "the edge drains when its input ends");
}
