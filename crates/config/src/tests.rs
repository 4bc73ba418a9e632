//! A small service's configuration as an operator meets it: files with mistakes, precedence, units.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bounds::{any, filled, size_within, within};
use crate::{ConfigErrors, Configuration, Key, RateCap, Size, Source, key, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Info,
    Debug,
}

words!(Level, "info" => Level::Info, "debug" => Level::Debug);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    listen: Vec<SocketAddr>,
    store: PathBuf,
    threads: u16,
    sessions_max: u32,
    pin: bool,
    memory: Size,
    patience: Duration,
    egress: RateCap,
    level: Level,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 1))],
            store: "/srv".into(),
            threads: 0,
            sessions_max: 10,
            pin: true,
            memory: Size(1 << 20),
            patience: Duration::from_secs(180),
            egress: RateCap::Unlimited,
            level: Level::Info,
        }
    }
}

impl Configuration for Sample {
    const ENVIRONMENT_PREFIX: &'static str = "SAMPLE_";
    const KEYS: &'static [Key<Self>] = &[
        key!(listen, false, "Addresses", |list: &Vec<_>| filled(list, "address")),
        key!(store, false, "Directory", any),
        key!(threads, false, "Threads", |&value| within(value, 0, 64)),
        key!(sessions_max, false, "Sessions", any),
        key!(pin, false, "Pin", any),
        key!(memory, false, "Memory", |value: &Size| size_within(value.0, 1200, 2 << 20)),
        key!(patience, true, "Patience", any),
        key!(egress, false, "Cap", any),
        key!(level, true, "Level", any),
    ];
}

fn load_text(text: &str) -> Result<Sample, ConfigErrors> {
    Source { file: Some("sample.toml".into()), ..Source::default() }.load_text(text)
}

fn message(text: &str) -> String {
    load_text(text).expect_err(text).to_string()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn mistake(source: &Source) -> String {
    source.load::<Sample>().expect_err("a mistake").to_string()
}

#[test]
fn a_configuration_reads_back_what_it_shows() {
    let sample = Sample {
        store: "/srv/a \"quoted\" \\ folder\nwith\ttabs \u{1}\u{7f}".into(),
        memory: Size(1201),
        patience: Duration::from_nanos(1_500_001),
        egress: RateCap::BitsPerSecond(2_500_000_001),
        level: Level::Debug,
        ..Sample::default()
    };
    assert_eq!(sample.to_toml().lines().count(), Sample::KEYS.len());
    assert_eq!(load_text(&sample.to_toml()), Ok(sample));
}

#[test]
fn what_is_set_later_wins() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("sample.toml");
    std::fs::write(&path, "threads = 1\nsessions_max = 1\npin = false\n").expect("write");
    let source = Source {
        file: Some(path),
        environment: pairs(&[("SAMPLE_THREADS", "2"), ("SAMPLE_SESSIONS_MAX", "2"), ("PATH", "x")]),
        flags: pairs(&[("threads", "3")]),
        ..Source::default()
    };
    let sample: Sample = source.load().expect("valid");
    assert_eq!((sample.threads, sample.sessions_max, sample.pin), (3, 2, false));
}

#[test]
fn a_typo_is_named_with_its_line_and_the_nearest_key() {
    let text = message("threads = 2\n\npatince = \"60s\"\n");
    assert!(
        text.contains("sample.toml:3: unknown key `patince`; did you mean `patience`?"),
        "{text}"
    );
}

#[test]
fn a_wrong_unit_is_named_with_its_line_and_value() {
    let text = message("# slab\nmemory = \"10MB\"\n");
    assert!(text.contains("sample.toml:2: memory = \"10MB\": a size needs"), "{text}");
    assert!(text.contains("\"10 MiB\""), "{text}");
    let text = message("patience = 180\n");
    assert!(text.contains("patience = 180: ") && text.contains("\"180 s\""), "{text}");
}

#[test]
fn bounds_are_named_with_the_place_that_set_the_value() {
    let text = message("pin = true\nmemory = \"3 MiB\"\n");
    assert!(
        text.contains("sample.toml:2: memory = \"3 MiB\": from \"1200 B\" to \"2 MiB\""),
        "{text}"
    );
    let environment = pairs(&[("SAMPLE_THREADS", "65")]);
    let text = mistake(&Source { environment, ..Source::default() });
    assert!(text.contains("environment variable SAMPLE_THREADS: "), "{text}");
}

#[test]
fn an_unknown_variable_or_flag_is_refused_like_an_unknown_key() {
    let environment = pairs(&[("SAMPLE_STOR", "/x")]);
    let text = mistake(&Source { environment, ..Source::default() });
    assert!(text.contains("did you mean `store`"), "{text}");
    let flags = pairs(&[("sessions_mx", "3")]);
    let text = mistake(&Source { flags, ..Source::default() });
    assert!(text.contains("flag --sessions-mx"), "{text}");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let errors = load_text("level = \"loud\"\nlisten = []\nstore = \"\"\n").expect_err("three");
    assert_eq!(errors.0.len(), 3, "{errors}");
}

#[test]
fn broken_toml_names_its_line() {
    for text in ["threads = 2\nstore = \"/x\n", "threads = 1\nthreads = 2\n"] {
        let text = message(text);
        assert!(text.contains("sample.toml:2: "), "{text}");
    }
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    for text in ["[threads]\nx = 1\n", "threads = \"2\"\n", "listen = \"0.0.0.0:1\"\n", "pin = 1\n"]
    {
        assert!(load_text(text).is_err(), "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let file = Some(Path::new("/nonexistent/sample.toml").to_owned());
    let text = mistake(&Source { file, ..Source::default() });
    assert!(text.starts_with("/nonexistent/sample.toml: cannot read"), "{text}");
}

#[test]
fn only_restart_keys_are_reported_as_such() {
    let other = Sample { level: Level::Debug, threads: 7, ..Sample::default() };
    assert_eq!(Sample::default().restart_keys(&other), ["threads"]);
}
