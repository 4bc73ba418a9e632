//! A service's configuration on the command line: a flag for every key of its table.

use std::marker::PhantomData;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use segcast_config::Configuration;

/// A flag for every key of the configuration `C`, and what was given: names and values.
#[derive(Debug)]
pub(crate) struct Flags<C> {
    given: Vec<(String, String)>,
    of: PhantomData<C>,
}

impl<C> Flags<C> {
    /// Names of keys with their values; a flag that was given several times is one, with commas.
    pub(crate) fn given(&self) -> &Vec<(String, String)> {
        &self.given
    }
}

impl<C: Configuration> FromArgMatches for Flags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self { given: Vec::new(), of: PhantomData };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for key in C::KEYS {
            if let Some(values) = matches.get_many::<String>(key.name) {
                let values: Vec<&str> = values.map(String::as_str).collect();
                self.given.push((key.name.to_owned(), values.join(",")));
            }
        }
        Ok(())
    }
}

impl<C: Configuration> Args for Flags<C> {
    fn augment_args(command: Command) -> Command {
        C::KEYS.iter().fold(command, |command, key| {
            command.arg(
                Arg::new(key.name)
                    .long(key.name.replace('_', "-"))
                    .help(key.help)
                    .value_name("VALUE")
                    .help_heading("Configuration (default.toml explains each)")
                    .action(ArgAction::Append),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
