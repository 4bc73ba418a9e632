//! `docs/protocol/example.py`, a client written from the documents alone, against the real edge: they are enough as long
//! as it fetches a title.
#![forbid(unsafe_code)]

use std::path::Path;

use segcast_kit::needs::{self, trial};
use segcast_kit::process::product::Product;
use segcast_kit::process::{Edge, run, segcast};

/// Three segments of the usual size, and a piece: the last one is padded.
const TITLE: u64 = 3 * 1_032_192 + 12_345;

fn main() {
    needs::main(vec![
        trial("the_documents_are_enough_for_a_client", &[needs::python_cryptography], || {
            fetch("127.0.0.1:0", "auto");
        }),
        trial("it_proves_its_address_by_cookie", &[needs::python_cryptography], || {
            fetch("[::1]:0", "always");
        }),
    ]);
}

fn fetch(listen: &str, cookie: &str) {
    let product = Product::with_title(TITLE, 1);
    let arguments = ["--shards", "1", "--pin", "false", "--cookie", cookie];
    let edge = Edge::start(segcast(), &product.path(""), listen, &arguments).expect("an edge");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol/example.py");
    let (example, grant) = (example.display().to_string(), product.grant().display().to_string());
    let arguments = ["-B", &example, &edge.address, "keys/edge.pub", &grant, "title"];
    run(&product.path(""), Path::new("python3"), &arguments);
    let title = std::fs::read(product.path("title")).expect("the title");
    assert_eq!(title.len() as u64, TITLE);
    assert!(title.iter().all(|&byte| byte == 0), "wrong bytes");
}
