//! `segcast demo`: everything on this machine in one command: pack, serve, fetch, compare, measure.
//!
//! The edge is the real one in a process of its own, and the client knows no more than a stranger would:
//! an address, a public key and a grant file. Whatever the end, the folder and the process are gone.

mod edge_process;
mod en_masse;
mod figures;
mod measure;
mod media;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use edge_process::EdgeProcess;
use en_masse::EnMasseArgs;
use figures::Figures;
use measure::{Measured, Measurement};
use media::Media;
use segcast_center::grant::{Client, Limits, issue_grant};
use segcast_center::ingest::{PackOptions, PackReport, pack_reader};
use segcast_center::keys::KeyDir;
use segcast_client::access::{Access, EdgeAddress};
use segcast_client::connection::ConnectionConfig;
use segcast_client::fetch::{self, Fetch, FetchConfig, FetchError};
use segcast_config::ExitCode;
use segcast_config::amount::rounded;
use segcast_keys::file;
use segcast_store::{Options, Store};
use segcast_sysio::clock::unix_seconds;
use serde::Serialize;
use tempfile::TempDir;

use super::get::read_access;
use super::io::IoArg;
use crate::failure::Interrupted;
use crate::interrupt::Interrupt;
use crate::logging::{self, LogArgs};
use crate::output;
use crate::terminal::Meter;

/// Sessions that the token allows beyond those that measure: the fetch before them, whose end the edge
/// may not have seen yet.
const SPARE_SESSIONS: u16 = 4;
/// Length of the title that is made when none is given.
const MADE_LENGTH: u64 = 256 << 20;

/// Arguments of `segcast demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// The title; without one, 256 MiB of seeded pseudorandom bytes are made, or 48 MiB with --multicast
    #[arg(long, value_name = "FILE")]
    media: Option<PathBuf>,
    /// Sessions that fetch at once in the measurement
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=512))]
    sessions: u16,
    /// How long to measure
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    #[command(flatten)]
    en_masse: EnMasseArgs,
    /// Which driver moves the datagrams, of edge and clients
    #[arg(long, value_enum, default_value = "auto")]
    io: IoArg,
    /// Print nothing but one JSON object with the figures
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text:?}: from 0.1 to 3600 seconds")),
    }
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let no_namespaces = args.en_masse.enter_namespaces()?;
    let interrupt = Interrupt::install()?;
    let folder = TempDir::with_prefix("segcast-demo-").context("could not make a folder")?;
    let demo = Demo { args, interrupt: &interrupt, folder: folder.path() };
    let result = if args.en_masse.multicast {
        demo.en_masse(no_namespaces).and_then(|figures| shown(args, &figures, figures.table()))
    } else {
        demo.run().and_then(|figures| shown(args, &figures, figures.table()))
    };
    let gone = folder.close().context("could not remove the folder");
    if interrupt.is_set() {
        if !args.json {
            output::note("stopped; the edge has ended and all files are removed");
        }
        return Err(Interrupted(interrupt.exit_code()).into());
    }
    let shown = result?;
    gone?;
    output::result(shown)?;
    Ok(ExitCode::Success)
}

/// What the demo ends with.
fn shown(args: &DemoArgs, figures: &impl Serialize, table: String) -> anyhow::Result<String> {
    Ok(if args.json { serde_json::to_string(figures)? } else { format!("\n{table}") })
}

struct Demo<'a> {
    args: &'a DemoArgs,
    interrupt: &'a Interrupt,
    folder: &'a Path,
}

impl Demo<'_> {
    fn run(&self) -> anyhow::Result<Figures> {
        let keys = KeyDir::open(&self.folder.join("keys"))?;
        let media = Media::open(self.args.media.as_deref(), MADE_LENGTH)?;
        let packed = self.pack(&media, &keys, None)?;
        let (mut edge, target) = self.start_edge()?;
        let grant = self.grant(&packed, &keys)?;
        let fetched = self.fetch(&media, target, &grant);
        let fetched = fetched.map_err(|error| edge.explain(error))?;
        let measured = self.measure(&edge, target, grant);
        let measured = measured.map_err(|error| edge.explain(error))?;
        edge.stop()?;
        Ok(Figures::new(self.args.sessions, &packed, &fetched, &measured))
    }

    fn say(&self, what: &str) {
        if !self.args.json {
            output::step(what);
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.interrupt.is_set(), "interrupted");
        Ok(())
    }

    fn pack(
        &self,
        media: &Media,
        keys: &KeyDir,
        running_time: Option<Duration>,
    ) -> anyhow::Result<PackReport> {
        self.say(&format!("1  a title: {media}"));
        let begun = Instant::now();
        let options = Options { create: true, ..Options::default() };
        let store = Store::open(&self.folder.join("store"), &options)?;
        let reader = media::Stoppable::new(media.reader()?, self.interrupt);
        let source = (media.label(), media.length());
        let name = media.name();
        let options = PackOptions { name, running_time, version: 1, ..PackOptions::default() };
        let mut meter = Meter::new("   packed", self.args.json);
        let packed = pack_reader(reader, source, &options, keys, &store, |at| {
            let length = u128::from(media.length());
            let done = length * u128::from(at.stored) / u128::from(at.segments.max(1));
            meter.show(u64::try_from(done).unwrap_or(u64::MAX), media.length(), "");
        });
        meter.clear();
        let packed = packed?;
        self.say(&format!(
            "2  packed: {} segments of {}, each encrypted under a key of its own, the manifest signed, in {}",
            packed.geometry.segments(),
            rounded::size(packed.geometry.segment_bytes().into()),
            rounded::duration(begun.elapsed())
        ));
        Ok(packed)
    }

    fn start_edge(&self) -> anyhow::Result<(EdgeProcess, EdgeAddress)> {
        self.check()?;
        let (address, no_admin) = (IpAddr::from(Ipv4Addr::LOCALHOST), ["--admin=off".to_owned()]);
        let (edge, target) = EdgeProcess::start(self.folder, self.args.io, address, &no_admin)?;
        self.say(&format!(
            "3  an edge: process {} serves the store on {}; it holds ciphertext only",
            edge.id(),
            target.address
        ));
        Ok((edge, target))
    }

    /// The grant, written to a file and read back, as a client gets it.
    fn grant(&self, packed: &PackReport, keys: &KeyDir) -> anyhow::Result<Access> {
        let limits = Limits {
            lifetime: Duration::from_secs(24 * 3600),
            rate_cap_kbits: None,
            sessions: Some(self.args.sessions + SPARE_SESSIONS),
        };
        let grant = issue_grant(keys, &Client::fresh()?, &[packed.set], &limits, unix_seconds())?;
        let path = self.folder.join("client.grant");
        file::create_grant(&path, &grant)?;
        self.say("4  a grant: a token signed for this client's key, and the title key");
        read_access(&path, None)
    }

    fn fetch(
        &self,
        media: &Media,
        edge: EdgeAddress,
        access: &Access,
    ) -> anyhow::Result<fetch::Report> {
        self.check()?;
        let output = self.folder.join("fetched");
        let config = FetchConfig { connection: self.connection(), ..FetchConfig::default() };
        let fetch = Fetch::start(&[vec![edge]], access.clone(), None, output.clone(), config)?;
        let mut meter = Meter::new("   fetched", self.args.json);
        let report = fetch.run(&mut |at| meter.show(at.come, at.total, ""), self.interrupt.flag());
        meter.clear();
        let report = match report {
            Err(FetchError::Stopped { .. }) => anyhow::bail!("interrupted"),
            other => other?,
        };
        media.compare(&output, self.interrupt)?;
        std::fs::remove_file(&output).context("could not remove the fetched copy")?;
        self.say(&format!(
            "5  a client: fetched, verified, decrypted, wrote and synced it in {}: {}, byte for byte the same",
            rounded::duration(Duration::from_secs_f64(report.seconds)),
            rounded::bit_rate(report.goodput_bytes_per_second * 8.0)
        ));
        Ok(report)
    }

    fn connection(&self) -> ConnectionConfig {
        ConnectionConfig { io: self.args.io.kind(), ..ConnectionConfig::default() }
    }

    fn measure(
        &self,
        edge: &EdgeProcess,
        target: EdgeAddress,
        access: Access,
    ) -> anyhow::Result<Measured> {
        self.check()?;
        let (sessions, seconds) = (self.args.sessions, self.args.seconds);
        self.say(&format!("6  {sessions} sessions fetch for {seconds} s, every segment verified"));
        let stop = self.interrupt.flag();
        let (manifest, _) = fetch::manifest(&[target], &access, None, self.connection(), stop)?;
        let measurement = Measurement {
            edge: target,
            access,
            manifest,
            sessions,
            duration: Duration::from_secs_f64(seconds),
            io: self.args.io.kind(),
            stop,
        };
        let measured = measurement.run(edge)?;
        anyhow::ensure!(!measured.ran.stopped, "interrupted");
        Ok(measured)
    }
}
