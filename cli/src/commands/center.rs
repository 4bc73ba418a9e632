//! `segcast center`: sells, signs and remembers, until it is told to stop; and packs what it sells.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use segcast_api::text::{Name, Slug};
use segcast_center::config::{Config, DEFAULT_TOML};
use segcast_center::ingest::PackOptions;
use segcast_center::pack::pack;
use segcast_center::serve::{self, Started};
use segcast_config::amount::{self, rounded};
use segcast_config::{Configuration, ExitCode, Source};
use segcast_store::{Options, Store};

use crate::flags::Flags;
use crate::notify::notify;
use crate::terminal::Meter;
use crate::{logging, output};

/// Arguments of `segcast center`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CenterArgs {
    #[command(subcommand)]
    command: Option<CenterCommand>,
    #[command(flatten)]
    settings: Settings,
    /// Look at what a start needs, print the configuration and what is wrong, and start nothing
    #[arg(long)]
    check: bool,
    /// Print the configuration file with every key, its default and its reason, and start nothing
    #[arg(long, conflicts_with = "check")]
    print_config: bool,
}

#[derive(Debug, Subcommand)]
enum CenterCommand {
    /// Cut, encrypt and sign a title for sale, put it into a store, and enter it in the center's database
    Pack(Box<TitleArgs>),
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
struct Settings {
    /// Configuration; what is set later wins: defaults < this file < SEGCAST_CENTER_* < flags
    #[arg(long, value_name = "FILE", env = "SEGCAST_CENTER_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags<Config>,
}

/// Arguments of `segcast center pack`.
#[derive(Args, Debug)]
struct TitleArgs {
    /// The title
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What commands and addresses call it: small letters, digits, hyphens. A known one gets a new version
    #[arg(long, value_name = "SLUG")]
    slug: Slug,
    /// Directory of the store that edges serve; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// Name of the title; the slug unless told otherwise
    #[arg(long, value_name = "TEXT")]
    name: Option<Name>,
    /// Running time of the title; segments then hold about 3 s each
    #[arg(long, value_name = "TIME", value_parser = amount::read_duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(crate) fn run(args: &CenterArgs) -> anyhow::Result<ExitCode> {
    if args.print_config {
        output::result(DEFAULT_TOML.trim_end())?;
        return Ok(ExitCode::Success);
    }
    if let Some(CenterCommand::Pack(title)) = &args.command {
        return pack_title(title);
    }
    let Some(config) = load(&args.settings) else { return Ok(ExitCode::Usage) };
    if args.check {
        output::result(config.to_toml().trim_end())?;
        serve::check(&config)?;
        return Ok(ExitCode::Success);
    }
    logging::serve(config.log_level, config.log_format);
    serve::run(&config, |started| {
        // Whoever started it may not want to read it.
        let _ = output::result(announcement(started).trim_end());
        if let Err(error) = notify("READY=1\n") {
            tracing::warn!(%error, "systemd could not be told");
        }
    })?;
    Ok(ExitCode::Success)
}

/// File, environment and flags; none when they have mistakes, which are told.
fn load(settings: &Settings) -> Option<Config> {
    let mut source =
        Source { file: settings.config.clone(), ..Source::from_environment::<Config>() };
    // A variable of this command itself, not a key of the configuration.
    source.environment.retain(|(name, _)| name != "SEGCAST_CENTER_CONFIG");
    source.flags.clone_from(settings.flags.given());
    match source.load() {
        Ok(config) => Some(config),
        Err(errors) => {
            output::note(format_args!("error: {errors}"));
            None
        }
    }
}

/// Where it serves, at the first start what to keep, and what to type next.
fn announcement(started: &Started) -> String {
    let address =
        started.addresses.first().copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 4880)));
    let mut text = format!("center at https://{address}");
    if let Some(admin) = started.admin {
        text += &format!(", health and metrics at http://{admin}");
    }
    text.push('\n');
    if let Some(password) = &started.password {
        text += "first start:\n";
        text += &format!("  operator      admin, one-time password {}\n", password.expose());
    }
    if !started.made.is_empty() {
        let files: Vec<_> = started.made.iter().map(|path| path.display().to_string()).collect();
        let files = files.join(", ");
        text += &format!("  keep safe     {files}, apart from the database\n");
    }
    let key = started.state.join("center.pub");
    text += &format!("  edges need    center_keys = [\"{}\"]\n", key.display());
    let ca = started.certificate.display();
    text += &format!("next: segcast login https://{address} --ca {ca}\n");
    text
}

fn pack_title(args: &TitleArgs) -> anyhow::Result<ExitCode> {
    let Some(config) = load(&args.settings) else { return Ok(ExitCode::Usage) };
    logging::serve(config.log_level, config.log_format);
    let begun = Instant::now();
    let length = std::fs::metadata(&args.file)
        .with_context(|| format!("could not read {}", args.file.display()))?
        .len();
    let store = Store::open(&args.store, &Options { create: true, ..Options::default() })?;
    let name = args.name.clone().map_or_else(|| args.slug.parse(), Ok)?;
    let options = PackOptions { running_time: args.duration, ..PackOptions::default() };
    let mut meter = Meter::new("packed", false);
    let report = pack(&config, (&args.file, &args.slug, &name), options, &store, |at| {
        let share = u128::from(length) * u128::from(at.stored) / u128::from(at.segments.max(1));
        meter.show(u64::try_from(share).unwrap_or(length), length, "");
    });
    meter.clear();
    let report = report?;
    output::result(format_args!(
        "title        {}\nset          {}\nsegments     {} of {} ({} in all)\ntook         {}",
        args.slug,
        report.set,
        report.geometry.segments(),
        rounded::size(report.geometry.segment_bytes().into()),
        rounded::size(report.geometry.true_length()),
        rounded::duration(begun.elapsed()),
    ))?;
    Ok(ExitCode::Success)
}
