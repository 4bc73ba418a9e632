//! The comparison runs as its user runs it, and every server's objects are the right ones. Nothing is timed.

use std::process::Command;

use serde_json::Value;

fn peers(arguments: &[&str]) -> (Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segcast-bench"));
    command.args(["peers", "--link", "loopback", "--runs", "1", "--json"]);
    command.args(["--seconds", "0.5", "--warm-up", "1"]).args(arguments);
    let output = command.output().expect("the bench runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    (serde_json::from_slice(&output.stdout).expect("one JSON object"), said)
}

/// nginx may be missing: then it is named. Everything else is built in.
#[test]
fn every_server_sends_the_right_objects_or_is_named_as_missing() {
    let (figures, said) = peers(&["--concurrent", "2"]);
    assert_eq!(figures["failed"], serde_json::json!([]), "{said}");
    let cells = figures["cells"].as_array().expect("cells are a list");
    let cell = |name: &str| {
        cells.iter().find(|cell| cell["server"].as_str().is_some_and(|s| s.starts_with(name)))
    };
    for name in ["segcast", "nginx", "quinn", "s2n-quic"] {
        let Some(cell) = cell(name) else {
            let missing = figures["missing"][0].to_string();
            assert!(name == "nginx" && missing.contains("apt-get install nginx"), "{figures}");
            continue;
        };
        assert!(cell["objects_compared"].as_u64() > Some(0), "{cell}");
        let gb_per_cpu_s = cell["gb_per_cpu_s"]["median"].as_f64().unwrap_or_default();
        let bare = cell["ratio_to_bare"]["median"].as_f64().unwrap_or_default();
        assert!(gb_per_cpu_s > 0.0 && bare > 0.0, "{cell}");
    }
}

#[test]
fn wrong_settings_are_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("quic.toml"), "datagram_max = 9000\n").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_segcast-bench"))
        .args(["peers", "--settings"])
        .arg(folder.path())
        .output()
        .expect("the bench runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("quic.toml"), "{said}");
}
