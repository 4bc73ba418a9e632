//! `segcast pack`: cuts, encrypts and signs a title, and puts it into a store.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use segcast_center::ingest::{PackOptions, PackReport, pack};
use segcast_center::keys::KeyDir;
use segcast_config::ExitCode;
use segcast_config::amount::{self, rounded};
use segcast_store::{Options, Store};
use serde::Serialize;

use super::keys::KeysArg;
use crate::logging::{self, LogArgs};
use crate::output;
use crate::terminal::Meter;
use crate::words;

/// Arguments of `segcast pack`.
#[derive(Args, Debug)]
pub(crate) struct PackArgs {
    /// The title
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Directory of the store; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    keys: KeysArg,
    /// Bytes of a segment, a multiple of 73728; about 1 MiB unless told otherwise
    #[arg(long, value_name = "SIZE", value_parser = amount::read_size)]
    segment_size: Option<u64>,
    /// Running time of the title; without --segment-size, segments then hold about 3 s each
    #[arg(long, value_name = "TIME", value_parser = amount::read_duration)]
    duration: Option<Duration>,
    /// Name of the title; its file name unless told otherwise
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Leave the segments unencrypted in the store; sessions still encrypt them
    #[arg(long)]
    clear: bool,
    /// Version of the title
    #[arg(long = "version", value_name = "N", default_value_t = 1)]
    title_version: u32,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Packed {
    set: String,
    bytes: u64,
    segments: u32,
    segment_bytes: u32,
    manifest_pages: u32,
    title_key: Option<PathBuf>,
    center_key: PathBuf,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(args: &PackArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let begun = Instant::now();
    let keys = KeyDir::open(&args.keys.keys)?;
    let store = Store::open(&args.out, &Options { create: true, ..Options::default() })?;
    let length = std::fs::metadata(&args.file)
        .with_context(|| format!("could not read {}", args.file.display()))?
        .len();
    let mut meter = Meter::new("packed", args.json);
    let report = pack(&args.file, &options(args)?, &keys, &store, |at| {
        let share = u128::from(length) * u128::from(at.stored) / u128::from(at.segments.max(1));
        meter.show(u64::try_from(share).unwrap_or(length), length, "");
    });
    meter.clear();
    print(args, &report?, begun.elapsed())?;
    Ok(ExitCode::Success)
}

fn options(args: &PackArgs) -> anyhow::Result<PackOptions> {
    let segment_bytes = args.segment_size.map(u32::try_from).transpose();
    let segment_bytes = segment_bytes.context("--segment-size: at most 32 MiB")?;
    let file_name = || args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(PackOptions {
        segment_bytes,
        running_time: args.duration,
        name: args.name.clone().or_else(file_name).unwrap_or_default(),
        clear: args.clear,
        version: args.title_version,
        ..PackOptions::default()
    })
}

fn print(args: &PackArgs, report: &PackReport, took: Duration) -> anyhow::Result<()> {
    let center_key = args.keys.keys.join("center.pub");
    let geometry = &report.geometry;
    if args.json {
        let result = Packed {
            set: report.set.to_string(),
            bytes: geometry.true_length(),
            segments: geometry.segments(),
            segment_bytes: geometry.segment_bytes(),
            manifest_pages: report.manifest_pages,
            title_key: report.title_key.clone(),
            center_key,
            seconds: took.as_secs_f64(),
        };
        return Ok(output::result(serde_json::to_string(&result)?)?);
    }
    let title_key = match &report.title_key {
        Some(path) => path.display().to_string(),
        None => "none: the segments lie in the clear".to_owned(),
    };
    output::result(format_args!(
        "set          {}\n\
         segments     {} of {} ({} in all), manifest of {}\n\
         title key    {title_key}\n\
         center key   {} (edges need this one)\n\
         took         {}",
        report.set,
        geometry.segments(),
        rounded::size(geometry.segment_bytes().into()),
        rounded::size(geometry.true_length()),
        words::count(report.manifest_pages.into(), "page"),
        center_key.display(),
        rounded::duration(took)
    ))?;
    Ok(())
}
