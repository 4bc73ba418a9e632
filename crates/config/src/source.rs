//! Where a configuration is read from, so that SIGHUP can read it again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::nearest;
use crate::{ConfigError, ConfigErrors, Configuration, Origin, Value};

/// The largest configuration file that is read: some ten thousand set ids.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The places that a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file; none: built-in defaults.
    pub file: Option<PathBuf>,
    /// Variables of the environment: those with the prefix of the configuration are read.
    pub environment: Vec<(String, String)>,
    /// Variables with the prefix whose values are not UTF-8: nothing can be made of them.
    pub not_utf8: Vec<String>,
    /// Variables with the prefix that are none of ours: Kubernetes sets them for a Service of that name.
    pub passed_over: Vec<String>,
    /// Flags of the command line: a key's name and its value.
    pub flags: Vec<(String, String)>,
}

impl Source {
    /// What the process's environment holds for `C`, and nothing else.
    #[must_use]
    pub fn from_environment<C: Configuration>() -> Self {
        Self::from_variables::<C>(std::env::vars_os())
    }

    fn from_variables<C: Configuration>(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut source = Self::default();
        for (name, value) in all {
            let name = name.to_string_lossy();
            let Some(key) = name.strip_prefix(C::ENVIRONMENT_PREFIX) else { continue };
            let known = C::KEYS.iter().any(|known| known.name == key.to_ascii_lowercase());
            if !known && is_of_kubernetes(key) {
                source.passed_over.push(name.into_owned());
            } else if let Some(value) = value.to_str() {
                source.environment.push((name.into_owned(), value.to_owned()));
            } else {
                source.not_utf8.push(name.into_owned());
            }
        }
        source
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn load<C: Configuration>(&self) -> Result<C, ConfigErrors> {
        let mut reading = Reading::default();
        if let Some(path) = &self.file {
            reading.file(path);
        }
        self.finish(reading)
    }

    /// The same with `text` in place of what stands in the file.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_text<C: Configuration>(&self, text: &str) -> Result<C, ConfigErrors> {
        let mut reading = Reading::default();
        reading.text(self.file.as_deref().unwrap_or(Path::new("text")), text);
        self.finish(reading)
    }

    /// Reads the environment and the flags over what the file said.
    fn finish<C: Configuration>(&self, mut reading: Reading<C>) -> Result<C, ConfigErrors> {
        let not_utf8 = self.not_utf8.iter().cloned().map(Origin::Environment);
        reading.errors.extend(not_utf8.map(|origin| ConfigError::NotUtf8 { origin }));
        for (name, value) in &self.environment {
            if let Some(key) = name.strip_prefix(C::ENVIRONMENT_PREFIX) {
                reading.set(
                    &key.to_ascii_lowercase(),
                    &Value::Untyped(value.clone()),
                    Origin::Environment(name.clone()),
                );
            }
        }
        for (name, value) in &self.flags {
            let flag = format!("--{}", name.replace('_', "-"));
            reading.set(name, &Value::Untyped(value.clone()), Origin::Flag(flag));
        }
        reading.finish()
    }
}

/// Whether `key` is what follows the name of a Service in the variables that Kubernetes sets for it: `SERVICE_HOST`,
/// `SERVICE_PORT`, `SERVICE_PORT_<name>`, `PORT`, `PORT_<number>_<protocol>` and that with `_PROTO`, `_PORT` or `_ADDR`
/// (kubernetes.io, "Service", "Environment variables").
fn is_of_kubernetes(key: &str) -> bool {
    let port = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        let mut words = protocol.split('_');
        number.parse::<u16>().is_ok()
            && words.next().is_some_and(|word| ["TCP", "UDP", "SCTP"].contains(&word))
            && words.next().is_none_or(|word| ["PROTO", "PORT", "ADDR"].contains(&word))
            && words.next().is_none()
    };
    matches!(key, "SERVICE_HOST" | "SERVICE_PORT" | "PORT")
        || key.starts_with("SERVICE_PORT_")
        || key.strip_prefix("PORT_").is_some_and(port)
}

/// A configuration that is being read.
#[derive(Default)]
struct Reading<C> {
    config: C,
    origins: BTreeMap<&'static str, Origin>,
    errors: Vec<ConfigError>,
}

impl<C: Configuration> Reading<C> {
    fn file(&mut self, path: &Path) {
        match read_bounded(path) {
            Ok(text) => self.text(path, &text),
            Err(reason) => {
                self.errors.push(ConfigError::Unreadable { path: path.to_owned(), reason });
            }
        }
    }

    fn text(&mut self, path: &Path, text: &str) {
        let origin = |start: usize| Origin::File {
            path: path.to_owned(),
            line: 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count(),
        };
        type Entries = BTreeMap<toml::Spanned<String>, Value>;
        match toml::from_str::<Entries>(text) {
            Ok(entries) => {
                for (key, value) in entries {
                    let start = key.span().start;
                    self.set(key.as_ref(), &value, origin(start));
                }
            }
            Err(error) => {
                let origin = origin(error.span().map_or(0, |span| span.start));
                let reason = error.message().to_owned();
                self.errors.push(ConfigError::Syntax { origin, reason });
            }
        }
    }

    fn set(&mut self, name: &str, value: &Value, origin: Origin) {
        let Some(key) = C::KEYS.iter().find(|key| key.name == name) else {
            let suggestion = nearest(name, C::KEYS.iter().map(|key| key.name));
            let error = ConfigError::UnknownKey { origin, key: name.to_owned(), suggestion };
            self.errors.push(error);
            return;
        };
        match (key.read)(&mut self.config, value) {
            Ok(()) => {
                self.origins.insert(key.name, origin);
            }
            Err(problem) => {
                let value = value.to_string();
                self.errors.push(ConfigError::BadValue { origin, key: key.name, value, problem });
            }
        }
    }

    fn finish(mut self) -> Result<C, ConfigErrors> {
        if let Err(bounds) = self.config.check(&self.origins) {
            self.errors.extend(bounds.0);
        }
        if self.errors.is_empty() { Ok(self.config) } else { Err(ConfigErrors(self.errors)) }
    }
}

/// The text of a file of at most [`FILE_BYTES_MAX`].
fn read_bounded(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes: not a configuration"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::{Key, bounds, key};

    #[derive(Debug, Default)]
    struct Sample {
        shards: u32,
    }

    impl Configuration for Sample {
        const ENVIRONMENT_PREFIX: &'static str = "SEGCAST_EDGE_";
        const KEYS: &'static [Key<Self>] = &[key!(shards, false, "", |v| bounds::any(v))];
    }

    fn source(variables: &[(&str, &[u8])]) -> Source {
        let all = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from_vec(value.to_vec())));
        Source::from_variables::<Sample>(all)
    }

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_are_passed_over() {
        let of_service = [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_TCDP",
            "PORT",
            "PORT_4870_UDP",
            "PORT_4870_UDP_PROTO",
            "PORT_4870_UDP_PORT",
            "PORT_4870_UDP_ADDR",
        ];
        let names = of_service.map(|name| format!("SEGCAST_EDGE_{name}"));
        let mut variables: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), &b"udp://10.0.0.1:4870"[..])).collect();
        variables.push(("SEGCAST_EDGE_SHARDS", b"3"));
        let source = source(&variables);
        assert_eq!(source.passed_over, names);
        assert_eq!(source.load::<Sample>().expect("one key").shards, 3);
    }

    #[test]
    fn what_only_looks_like_them_is_an_unknown_key() {
        for name in ["PORTS", "PORT_4870", "PORT_x_UDP", "PORT_4870_UDP_X", "SERVICE", "HOST"] {
            let source = source(&[(&format!("SEGCAST_EDGE_{name}"), b"1")]);
            let said = source.load::<Sample>().expect_err(name).to_string();
            assert!(said.contains("unknown key"), "{said}");
        }
    }

    #[test]
    fn a_variable_of_ours_that_is_not_utf8_is_an_error_and_one_of_others_is_not() {
        let said = source(&[("SEGCAST_EDGE_SHARDS", &[0xFF]), ("OTHER", &[0xFF])]);
        let said = said.load::<Sample>().expect_err("no text").to_string();
        assert!(said.contains("SEGCAST_EDGE_SHARDS") && said.contains("UTF-8"), "{said}");
        assert!(!said.contains("OTHER"), "{said}");
    }
}
