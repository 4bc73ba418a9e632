//! Where a configuration is read from, so that SIGHUP can read it again.

use std::collections::BTreeMap;
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
    /// Flags of the command line: a key's name and its value.
    pub flags: Vec<(String, String)>,
}

impl Source {
    /// What the process's environment holds for `C`, and nothing else.
    #[must_use]
    pub fn from_environment<C: Configuration>() -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(C::ENVIRONMENT_PREFIX))
            .collect();
        Self { environment, ..Self::default() }
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
