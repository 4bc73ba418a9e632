//! A real video: made by ffmpeg, packed, served, fetched, byte for byte the same, and decodable.
//!
//! Some 60 MiB; with `SEGCAST_FULL=1` some 400 MiB.

use segcast_kit::needs::{self, segcast_binary, trial};
use segcast_kit::process::{Edge, run};
use std::path::Path;
use std::process::Command;

fn main() {
    needs::main(vec![
        trial("a_video_comes_out_as_it_went_in_by_ring", &[needs::ffmpeg, needs::io_uring], || {
            video("ring", "127.0.0.1:0");
        }),
        trial("a_video_comes_out_as_it_went_in_by_mmsg", &[needs::ffmpeg], || {
            video("mmsg", "[::1]:0");
        }),
    ]);
}

fn video(io: &str, any: &str) {
    let full = std::env::var("SEGCAST_FULL").is_ok_and(|value| value == "1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (here, binary, ffmpeg) = (folder.path(), segcast_binary(), Path::new("ffmpeg"));
    // Noise over a moving picture: nothing that compresses away.
    let seconds = if full { "80" } else { "12" };
    let source = "testsrc2=size=1280x720:rate=25,noise=alls=20:allf=t";
    let mut make = vec!["-v", "error", "-f", "lavfi", "-i", source, "-t", seconds];
    make.extend(["-c:v", "mpeg2video", "-b:v", "40M", "-maxrate", "40M", "-bufsize", "8M"]);
    run(here, ffmpeg, &[&make[..], &["video.ts"]].concat());
    let size = std::fs::metadata(here.join("video.ts")).expect("a video").len();
    println!("{io}: a video of {} MiB", size >> 20);
    assert!(size > if full { 300 << 20 } else { 40 << 20 }, "only {size} bytes");

    let packed = run(here, &binary, &["pack", "video.ts", "--out", "store", "--json"]);
    let packed: serde_json::Value = serde_json::from_str(&packed).expect("JSON");
    let set = packed["set"].as_str().expect("a set");
    run(here, &binary, &["token", "--set", set, "--out", "grant"]);
    let edge = Edge::start(Command::new(&binary), here, any, &["--io", io]).expect("an edge");
    let address = edge.address.to_string();
    let mut get = vec!["get", &address, "--edge-key", &edge.key, "--grant", "grant"];
    get.extend(["--out", "fetched.ts", "--io", io]);
    run(here, &binary, &get);
    let [made, fetched] = ["video.ts", "fetched.ts"].map(|name| std::fs::read(here.join(name)));
    assert!(made.expect("the video") == fetched.expect("the copy"), "the bytes differ");
    // With -xerror anything that does not decode is an error.
    run(here, ffmpeg, &["-v", "error", "-xerror", "-i", "fetched.ts", "-f", "null", "-"]);
}
