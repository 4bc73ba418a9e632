//! `segcast edge`: serves a store until it is told to stop.
//!
//! The edge's own configuration is the library's: every key of its `default.toml` is a flag here.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use segcast_center::keys::KeyDir;
use segcast_config::{Configuration, ExitCode, Source};
use segcast_edge::config::{Config, DEFAULT_TOML, LogLevel};
use segcast_edge::{Checked, Server, StartError, Supervisor};
use segcast_sysio::clock;

use crate::flags::Flags;
use crate::logging::{self, Level};
use crate::notify::notify;
use crate::output;

/// What ending threads and unmapping the store may take at the end of a drain.
const STOP_RESERVE: Duration = Duration::from_secs(5);

/// What an operator installs beside the binary.
const UNIT: &str = include_str!("../../../tuning/systemd/segcast-edge.service");

/// Arguments of `segcast edge`.
#[derive(Args, Debug)]
pub(crate) struct EdgeArgs {
    /// Configuration; what is set later wins: defaults < this file < SEGCAST_EDGE_* < flags
    #[arg(long, value_name = "FILE", env = "SEGCAST_EDGE_CONFIG")]
    config: Option<PathBuf>,
    /// Look at everything that a start needs, print what would be and all that is wrong, and start nothing; the exit code is
    /// the start's
    #[arg(long)]
    check: bool,
    /// Read what a reload reads (configuration, center keys, session log), say what is wrong with it, and start nothing
    #[arg(long, conflicts_with = "check")]
    check_reload: bool,
    /// Print the configuration file with every key, its default and its reason, and start nothing
    #[arg(long, conflicts_with = "check")]
    print_config: bool,
    /// Print the systemd unit for this release, and start nothing
    #[arg(long, conflicts_with_all = ["check", "print_config"])]
    print_unit: bool,
    /// Directory of keys, as `segcast pack` makes it: stands for --key-file and --center-keys. In the environment, SEGCAST_KEYS
    /// stands for the variables of those two
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// End when standard input closes: for a parent that may die
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    #[command(flatten)]
    flags: Flags<Config>,
}

/// Runs the command.
pub(crate) fn run(args: &EdgeArgs) -> anyhow::Result<ExitCode> {
    let wanted = [(args.print_config, DEFAULT_TOML), (args.print_unit, UNIT)];
    if let Some((_, text)) = wanted.into_iter().find(|(is_wanted, _)| *is_wanted) {
        output::result(text.trim_end())?;
        return Ok(ExitCode::Success);
    }
    let source = source(args)?;
    let config: Config = match source.load() {
        Ok(config) => config,
        Err(errors) => {
            output::note(format_args!("error: {errors}"));
            return Ok(ExitCode::Usage);
        }
    };
    if args.check {
        return check(&config);
    }
    if args.check_reload {
        return match segcast_edge::reloadable(&config) {
            Ok(()) => Ok(ExitCode::Success),
            Err(error) => {
                output::note(format_args!("error: {error}"));
                Ok(error.exit())
            }
        };
    }
    let level = logging::serve(config.log_level, config.log_format);
    if !source.passed_over.is_empty() {
        let variables = source.passed_over.join(", ");
        tracing::info!(variables, "not read: Kubernetes sets them for a Service of this name");
    }
    if args.until_stdin_closes {
        std::thread::Builder::new().name("segcast-parent".into()).spawn(end_with_stdin)?;
    }
    let supervisor = Systemd { level, announced: AtomicBool::new(false) };
    Ok(segcast_edge::run(&source, &supervisor))
}

/// Prints the whole configuration, what an edge would serve on, and everything that is wrong.
fn check(config: &Config) -> anyhow::Result<ExitCode> {
    output::result(config.to_toml().trim_end())?;
    let Checked { addresses, late, damage, problems } = segcast_edge::check(config);
    for address in addresses {
        output::result(format_args!("# would listen on {address}"))?;
    }
    for address in late {
        output::note(format_args!(
            "warning: {address} is on no interface of this box yet: it is served when it comes"
        ));
    }
    for damage in damage {
        output::note(format_args!("warning: the store is damaged, and this not served: {damage}"));
    }
    // Where the cores cannot be counted, that is a problem already.
    for excess in segcast_edge::excesses(config).into_iter().flatten() {
        output::note(format_args!("warning: {excess}"));
    }
    for problem in &problems {
        output::note(format_args!("error: {problem}"));
    }
    Ok(problems.first().map_or(ExitCode::Success, StartError::exit))
}

/// File, environment and flags.
fn source(args: &EdgeArgs) -> anyhow::Result<Source> {
    let mut source = Source { file: args.config.clone(), ..Source::from_environment::<Config>() };
    // Variables of this command itself, not keys of the configuration.
    source.environment.retain(|(name, _)| name != "SEGCAST_EDGE_CONFIG");
    source.not_utf8.retain(|name| name != "SEGCAST_EDGE_CONFIG");
    source.flags.clone_from(args.flags.given());
    let variable = std::env::var_os("SEGCAST_KEYS").filter(|dir| !dir.is_empty());
    if let Some(dir) = &args.keys {
        stand_for_files(dir, Given::AsFlag, args, &mut source)?;
    } else if let Some(dir) = variable {
        stand_for_files(Path::new(&dir), Given::InEnvironment, args, &mut source)?;
    }
    Ok(source)
}

/// Where a directory of keys was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    AsFlag,
    InEnvironment,
}

/// Lets `dir` stand for the settings of its two files, at the place where it was given. What names a file itself comes first:
/// there or, as flags do, above. What then has nothing to stand for is not looked at.
fn stand_for_files(
    dir: &Path,
    given: Given,
    args: &EdgeArgs,
    source: &mut Source,
) -> anyhow::Result<()> {
    let has = |list: &[(String, String)], name: &str| list.iter().any(|(other, _)| other == name);
    for (key, file) in [("key_file", "edge.key"), ("center_keys", "center.pub")] {
        let variable = format!("{}{}", Config::ENVIRONMENT_PREFIX, key.to_ascii_uppercase());
        let by_variable = given == Given::InEnvironment && has(&source.environment, &variable);
        if by_variable || has(&source.flags, key) {
            continue;
        }
        if key == "key_file" && !args.check && !args.check_reload {
            KeyDir::open(dir)?.edge()?;
        }
        let path = dir.join(file).display().to_string();
        match given {
            Given::AsFlag => source.flags.push((key.to_owned(), path)),
            Given::InEnvironment => source.environment.push((variable, path)),
        }
    }
    Ok(())
}

/// Waits for the end of standard input, then asks for a drain as SIGTERM does.
fn end_with_stdin() {
    let mut rest = [0; 64];
    while std::io::stdin().read(&mut rest).is_ok_and(|read| read > 0) {}
    if let Err(error) = signal_hook::low_level::raise(signal_hook::consts::SIGTERM) {
        tracing::error!(%error, "standard input has closed, but no signal could be sent");
    }
}

/// Tells systemd (sd_notify(3), a no-op elsewhere), and on standard output where the edge serves.
struct Systemd {
    level: Level,
    announced: AtomicBool,
}

fn tell(message: &str) {
    if let Err(error) = notify(message) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

impl Supervisor for Systemd {
    fn ready(&self, server: &Server) {
        tell("READY=1\n");
        if self.announced.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut out = std::io::stdout().lock();
        // Whoever started the edge may not want to read it.
        let _ = write!(out, "{}", server.announcement()).and_then(|()| out.flush());
    }

    fn reloading(&self) {
        let now = clock::monotonic_nanoseconds() / 1000;
        tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}\n"));
    }

    fn status(&self, status: &str) {
        // One line: the next would be another assignment.
        tell(&format!("STATUS={}\n", status.replace('\n', "; ")));
    }

    fn stopping(&self, within: Duration) {
        // So that the unit's TimeoutStopSec need not know of drain_timeout.
        let within = (within + STOP_RESERVE).as_micros();
        tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={within}\n"));
    }

    fn log_level(&self, level: LogLevel) {
        if let Err(error) = self.level.reload(logging::filter(level)) {
            tracing::warn!(%error, "the log's level stays as it was");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        edge: EdgeArgs,
    }

    fn parse(line: &str) -> EdgeArgs {
        Line::try_parse_from(line.split(' ')).map_or_else(|e| panic!("{e}"), |line| line.edge)
    }

    #[test]
    fn every_key_is_a_flag_and_lists_may_be_given_twice() {
        let args = parse("edge --listen 127.0.0.1:1 --listen [::1]:2 --io mmsg");
        let config: Config = source(&args).unwrap().load().unwrap();
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.io, segcast_edge::config::Io::Mmsg);
    }

    #[test]
    fn a_key_directory_stands_for_the_key_files_unless_they_are_given() {
        let source = source(&parse("edge --check --keys k --key-file own")).unwrap();
        let config: Config = source.load().unwrap();
        assert_eq!(config.key_file, Path::new("own"));
        assert_eq!(config.center_keys, [Path::new("k/center.pub")]);
    }
}
