//! A real video: made by ffmpeg, packed, served, fetched, byte for byte the same, and decodable.
//!
//! Some 60 MiB; with `SEGCAST_FULL=1` some 400 MiB.

use std::path::Path;

use segcast_kit::needs::{self, trial};
use segcast_kit::process::{World, run, succeed};

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
    let full = needs::full();
    let world = World::new();
    let (here, ffmpeg) = (world.folder(), Path::new("ffmpeg"));
    // Noise over a moving picture: nothing that compresses away.
    let seconds = if full { "80" } else { "12" };
    let source = "testsrc2=size=1280x720:rate=25,noise=alls=20:allf=t";
    let mut make = vec!["-v", "error", "-f", "lavfi", "-i", source, "-t", seconds];
    make.extend(["-c:v", "mpeg2video", "-b:v", "40M", "-maxrate", "40M", "-bufsize", "8M"]);
    run(here, ffmpeg, &[&make[..], &["video.ts"]].concat());
    let size = std::fs::metadata(here.join("video.ts")).expect("a video").len();
    println!("{io}: a video of {} MiB", size >> 20);
    assert!(size > if full { 300 << 20 } else { 40 << 20 }, "only {size} bytes");

    let report = world.pack_file("video.ts", &[]);
    let grant = world.grant_of(report["set"].as_str().expect("a set"), &[]);
    let edge = world.edge(any, io);
    succeed(world.get(&[&edge], &grant, "fetched.ts").args(["--io", io]));
    assert!(world.read("video.ts") == world.read("fetched.ts"), "the bytes differ");
    // With -xerror anything that does not decode is an error.
    run(here, ffmpeg, &["-v", "error", "-xerror", "-i", "fetched.ts", "-f", "null", "-"]);
}
