//! The table of keys: one row for each, from which files, environment, flags and `--check` are all served.

use std::collections::BTreeMap;

use crate::{ConfigError, ConfigErrors, Origin, Problem, Value};

/// A configuration: defaults, and a table that says which keys change them.
pub trait Configuration: Default + Sized + 'static {
    /// What a variable of the environment begins with, such as `SEGCAST_EDGE_`.
    const ENVIRONMENT_PREFIX: &'static str;
    /// Every key, in the order of the service's manual.
    const KEYS: &'static [Key<Self>];

    /// Checks every bound that a single value must keep.
    ///
    /// # Errors
    /// One [`ConfigError::BadValue`] for each value out of its bounds; `origins` says where each key was
    /// set.
    fn check(&self, origins: &BTreeMap<&'static str, Origin>) -> Result<(), ConfigErrors> {
        let errors: Vec<_> = Self::KEYS
            .iter()
            .filter_map(|key| {
                let problem = (key.problem)(self)?;
                let origin = origins.get(key.name).cloned().unwrap_or(Origin::Default);
                let value = (key.show)(self);
                Some(ConfigError::BadValue { origin, key: key.name, value, problem })
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    /// The whole configuration as TOML, one key a line, in the order of the table.
    #[must_use]
    fn to_toml(&self) -> String {
        Self::KEYS.iter().map(|key| format!("{} = {}\n", key.name, (key.show)(self))).collect()
    }

    /// Keys that differ from `other` and take effect only at a start.
    #[must_use]
    fn restart_keys(&self, other: &Self) -> Vec<&'static str> {
        let differs = |key: &&Key<Self>| !key.reload && (key.show)(self) != (key.show)(other);
        Self::KEYS.iter().filter(differs).map(|key| key.name).collect()
    }
}

/// A key of the configuration `C`. [`key!`](crate::key!) makes one from a field's name.
pub struct Key<C> {
    /// Its name in the file; a flag is `--name` with `-` for `_`, a variable the prefix and `NAME`.
    pub name: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
    /// Whether SIGHUP applies a change; the others need a restart.
    pub reload: bool,
    /// Sets the key.
    pub read: fn(&mut C, &Value) -> Result<(), Problem>,
    /// Its value, as TOML.
    pub show: fn(&C) -> String,
    /// What is wrong with its value.
    pub problem: fn(&C) -> Option<Problem>,
}

/// The [`Key`] of the field with the same name: `key!(field, reload, "help", |value| problem)`.
#[macro_export]
macro_rules! key {
    ($field:ident, $reload:expr, $help:literal, $problem:expr) => {
        $crate::Key {
            name: stringify!($field),
            help: $help,
            reload: $reload,
            read: |config, value| {
                config.$field = $crate::Field::read(value)?;
                Ok(())
            },
            show: |config| $crate::Field::show(&config.$field),
            problem: |config| {
                let problem: fn(_) -> Option<$crate::Problem> = $problem;
                problem(&config.$field)
            },
        }
    };
}
