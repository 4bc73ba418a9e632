//! The configuration as an operator meets it: files with mistakes, precedence, the manual.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

fn write(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("edge.toml");
    std::fs::write(&path, text).expect("write");
    path
}

fn load_text(text: &str) -> Result<Config, ConfigErrors> {
    let directory = tempfile::tempdir().expect("tempdir");
    let file = Some(write(directory.path(), text));
    ConfigSource { file, ..ConfigSource::default() }.load()
}

fn message(text: &str) -> String {
    load_text(text).expect_err(text).to_string()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_shipped_file_says_exactly_what_is_built_in() {
    assert_eq!(load_text(DEFAULT_TOML), Ok(Config::default()));
}

#[test]
fn the_manual_explains_every_key_in_order_and_marks_what_reloads() {
    let mut rest = DEFAULT_TOML;
    for key in KEYS {
        let line = format!("\n{} = ", key.name);
        let (before, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{}", key.name));
        let comment = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(comment.starts_with("# "), "{} has no comment", key.name);
        assert_eq!(comment.contains("[reload]"), key.reload, "{}", key.name);
        rest = after;
    }
}

#[test]
fn a_configuration_reads_back_what_it_shows() {
    let config = Config {
        sets: Sets::Only(BTreeSet::from([SetId([7; 16]), SetId([9; 16])])),
        admin: Admin::Off,
        egress_max: RateCap::BitsPerSecond(2_500_000_000),
        idle_timeout: Duration::from_secs(90),
        ..Config::default()
    };
    assert_eq!(load_text(&config.to_toml()), Ok(config));
}

#[test]
fn what_is_set_later_wins() {
    let directory = tempfile::tempdir().expect("tempdir");
    let source = ConfigSource {
        file: Some(write(directory.path(), "shards = 1\nsessions_max = 1\nio = \"ring\"\n")),
        environment: pairs(&[
            ("SEGCAST_EDGE_SHARDS", "2"),
            ("SEGCAST_EDGE_SESSIONS_MAX", "2"),
            ("PATH", "x"),
        ]),
        flags: pairs(&[("shards", "3")]),
    };
    let config = source.load().expect("valid");
    assert_eq!((config.shards, config.sessions_max, config.io), (3, 2, Io::Ring));
}

#[test]
fn a_typo_is_named_with_its_line_and_the_nearest_key() {
    let text = message("shards = 2\n\nidle_timout = \"60s\"\n");
    assert!(
        text.contains("edge.toml:3: unknown key `idle_timout`; did you mean `idle_timeout`?"),
        "{text}"
    );
}

#[test]
fn a_wrong_unit_is_named_with_its_line_and_value() {
    let text = message("# slab\nsend_slab = \"10MB\"\n");
    assert!(text.contains("edge.toml:2: send_slab = \"10MB\": a size needs"), "{text}");
    assert!(text.contains("\"10 MiB\""), "{text}");
    let text = message("idle_timeout = 180\n");
    assert!(text.contains("idle_timeout = 180: ") && text.contains("\"180 s\""), "{text}");
}

#[test]
fn bounds_are_named_with_the_place_that_set_the_value() {
    let text = message("pin = true\ndatagram_max = \"1 MiB\"\n");
    assert!(
        text.contains("edge.toml:2: datagram_max = \"1 MiB\": from \"1200 B\" to \"8952 B\""),
        "{text}"
    );
    let source = ConfigSource {
        environment: pairs(&[("SEGCAST_EDGE_RECEIVE_BUFFERS", "500")]),
        ..ConfigSource::default()
    };
    let text = source.load().expect_err("500").to_string();
    assert!(text.contains("environment variable SEGCAST_EDGE_RECEIVE_BUFFERS: "), "{text}");
}

#[test]
fn an_unknown_variable_or_flag_is_refused_like_an_unknown_key() {
    let source = ConfigSource {
        environment: pairs(&[("SEGCAST_EDGE_STOR", "/x")]),
        ..ConfigSource::default()
    };
    assert!(source.load().expect_err("typo").to_string().contains("did you mean `store`"));
    let source = ConfigSource { flags: pairs(&[("idle_tmeout", "3s")]), ..ConfigSource::default() };
    assert!(source.load().expect_err("typo").to_string().contains("flag --idle-tmeout"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let errors =
        load_text("io = \"epoll\"\nlisten = []\nadmin = \"localhost:1\"\n").expect_err("three");
    assert_eq!(errors.0.len(), 3, "{errors}");
}

#[test]
fn broken_toml_names_its_line() {
    let text = message("shards = 2\nstore = \"/x\n");
    assert!(text.contains("edge.toml:2: "), "{text}");
    let text = message("shards = 1\nshards = 2\n");
    assert!(text.contains("edge.toml:2: "), "{text}");
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    for text in [
        "[shards]\nx = 1\n",
        "shards = \"2\"\n",
        "listen = \"0.0.0.0:1\"\n",
        "pin = 1\n",
        "sets = [\"*\", \"*\"]\n",
    ] {
        assert!(load_text(text).is_err(), "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let source = ConfigSource {
        file: Some(PathBuf::from("/nonexistent/edge.toml")),
        ..ConfigSource::default()
    };
    assert!(
        source
            .load()
            .expect_err("missing")
            .to_string()
            .starts_with("/nonexistent/edge.toml: cannot read")
    );
}

#[test]
fn only_restart_keys_are_reported_as_such() {
    let other = Config { log_level: LogLevel::Debug, shards: 7, ..Config::default() };
    assert_eq!(Config::default().restart_keys(&other), ["shards"]);
}
