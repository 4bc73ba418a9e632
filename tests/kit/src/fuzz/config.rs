//! The edge's configuration: TOML texts, and values as the environment and flags give them.

use segcast_config::{ConfigErrors, Configuration, Source};
use segcast_edge::config::{Config, DEFAULT_TOML};

use super::script::{Script, Steps};
use super::seed::Seed;

/// Reads `data` as a file, or as flags and variables of the environment.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut source = Source::default();
    let result = if script.flag() {
        source.load_text(&String::from_utf8_lossy(script.rest()))
    } else {
        while !script.is_over() {
            let (key, flag) = (Config::KEYS[script.choose(Config::KEYS.len())].name, script.flag());
            let value = String::from_utf8_lossy(script.counted()).into_owned();
            if flag {
                source.flags.push((key.to_owned(), value));
            } else {
                let name = format!("{}{}", Config::ENVIRONMENT_PREFIX, key.to_ascii_uppercase());
                source.environment.push((name, value));
            }
        }
        source.load()
    };
    check(result);
}

/// A configuration that was accepted is written and read as it is; a mistake is said in words.
fn check(result: Result<Config, ConfigErrors>) {
    match result {
        Ok(config) => {
            let again = Source::default().load_text::<Config>(&config.to_toml());
            assert_eq!(again.as_ref(), Ok(&config), "{}", config.to_toml());
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(errors.0.iter().all(|error| !error.to_string().is_empty()));
        }
    }
}

/// The shipped file without its comments, and every key with its value.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let file =
        |name: &str, text: &str| Seed::new(name, Steps::new().byte(1).bytes(text.as_bytes()));
    let lines = DEFAULT_TOML.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let shipped: String = lines.map(|line| format!("{line}\n")).collect();
    let mut seeds = vec![file("shipped", &shipped), file("defaults", &Config::default().to_toml())];
    let other = Config {
        sets: "34e1c2ebaf613d545a4ff78700000001"
            .parse()
            .map_or(segcast_edge::config::Sets::All, |set| {
                segcast_edge::config::Sets::Only([set].into())
            }),
        store: "/srv/a \"quoted\" folder\\with\ttabs".into(),
        ..Config::default()
    };
    seeds.push(file("other", &other.to_toml()));
    for (name, text) in [("wrong-type", "shards = \"2\"\nio = 7\n"), ("unknown-key", "shard = 2\n")]
    {
        seeds.push(file(name, text));
    }
    // Twice as flag, once as variable: the values as they stand in the file, without quotes.
    let values = |flag: u8| {
        let config = Config::default().to_toml();
        let values = config.lines().filter_map(|line| line.split_once(" = ")).enumerate();
        values.fold(Steps::new().byte(0), |steps, (at, (_, value))| {
            let value = value.trim_matches(['[', ']', '"']).as_bytes();
            steps.byte(u8::try_from(at).expect("few keys")).byte(flag).counted(value)
        })
    };
    seeds.push(Seed::new("flags", values(1)));
    seeds.push(Seed::new("environment", values(0)));
    seeds
}
