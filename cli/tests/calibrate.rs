//! `segcast load calibrate`: exact counts of the real binary, and a responder that lies about one of them. Nothing here is
//! timed: how fast this machine is at the moment says nothing about the counts.

use segcast_kit::process::{fail, output, segcast, succeed};
use segcast_kit::progress::Progress;
use serde_json::Value;

/// The checks that judge counts only.
const COUNTS: [&str; 6] = ["load", "calibrate", "--quick", "--json", "--only", "faults"];
/// What a quick calibration does to the datagrams of one mode.
const DROPPED: u64 = 97;
const OTHERS: [(&str, u64); 3] = [("duplicate", 53), ("reordered", 41), ("corrupt", 29)];

fn rows(json: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(json).expect("one JSON object");
    assert_eq!(json["complete"], false, "one check is no calibration");
    assert_eq!(json["hash"].as_str().map(str::len), Some(64));
    assert!(json["expires"].as_u64() > json["made"].as_u64());
    json["rows"].as_array().expect("rows").clone()
}

#[test]
fn every_fault_is_counted_once_and_in_its_class_in_every_offload_mode() {
    let _progress = Progress::start("calibrate", "every fault in every offload mode");
    let rows = rows(&succeed(segcast().args(COUNTS)));
    assert_eq!(rows.len(), 8, "four modes, loss and the others: {rows:#?}");
    for row in &rows {
        assert_eq!(row["passed"], true, "{row:#}");
        let figures = &row["figures"];
        if row["id"] == "C6" {
            assert_eq!(figures["dropped"], DROPPED, "{row:#}");
            assert_eq!(figures["reported"], DROPPED, "{row:#}");
            assert_eq!(figures["overflow"], 0, "{row:#}");
        } else {
            for (class, count) in OTHERS {
                assert_eq!(figures[class]["done"], count, "{row:#}");
                assert_eq!(figures[class]["reported"], count, "{row:#}");
            }
        }
    }
}

#[test]
fn a_responder_that_hides_one_lost_datagram_is_found_out() {
    let output = output(segcast().args(COUNTS).arg("--lie"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let rows = rows(&String::from_utf8(output.stdout).expect("UTF-8"));
    for row in &rows {
        let is_loss = row["id"] == "C6";
        assert_eq!(row["passed"], !is_loss, "{row:#}");
        if is_loss {
            assert_eq!(row["figures"]["dropped"], DROPPED - 1, "{row:#}");
            assert_eq!(row["figures"]["reported"], DROPPED, "{row:#}");
        }
    }
}

/// Little's law with a known load, whatever else is the matter with this machine.
const LITTLE: [&str; 6] = ["load", "calibrate", "--quick", "--json", "--only", "little"];

#[test]
fn what_is_under_way_is_what_the_recorded_times_say() {
    let output = output(segcast().args(LITTLE));
    let rows = rows(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!(rows[0]["id"], "C5", "{rows:#?}");
    assert!(rows[0]["figures"]["segments"].as_u64() > Some(100), "{rows:#?}");
    let little = &rows[0]["figures"]["little"];
    let figure = |name: &str| little[name].as_f64().expect("a number");
    // On a machine that let the other thread look too seldom the row may say that it cannot tell.
    assert!(figure("error") <= 0.02 + figure("noise"), "{rows:#?}");
    assert!(rows[0]["passed"] == true || figure("noise") > 0.1, "{rows:#?}");
}

#[test]
fn times_that_are_written_down_late_are_found_out() {
    let output = output(segcast().args(LITTLE).args(["--late", "5ms"]));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let rows = rows(&String::from_utf8(output.stdout).expect("UTF-8"));
    let little = &rows[0]["figures"]["little"];
    // Some 20 ms are told as 25.
    let (seen, told) = (little["counted"].as_f64(), little["computed"].as_f64());
    assert!(told > seen && rows[0]["passed"] == false, "{rows:#?}");
}

#[test]
fn a_pause_that_leaves_no_time_is_refused() {
    let text = fail(segcast().args(["load", "calibrate", "--freeze-period", "300ms"]), 2);
    assert!(text.contains("300ms") && text.contains("400ms"), "{text}");
}
