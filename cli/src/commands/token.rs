//! `segcast token`: lets a client fetch titles: a signed token and the title keys, in one grant file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use segcast_center::grant::{Client, Limits, issue_grant};
use segcast_center::keys::KeyDir;
use segcast_config::ExitCode;
use segcast_config::amount::{self, rounded};
use segcast_keys::file;
use segcast_keys::keytext::KeyKind;
use segcast_proto::ids::SetId;
use segcast_sysio::clock::unix_seconds;

use super::keys::{KeysArg, public_key};
use crate::logging::{self, LogArgs};
use crate::output;
use crate::words;

/// Arguments of `segcast token`.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// A set that may be fetched; up to 16
    #[arg(long, required = true, value_name = "ID")]
    set: Vec<SetId>,
    /// Where to put the grant
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The client's public key, or the file that holds it; without it a key pair is made and its secret
    /// goes into the grant
    #[arg(long, value_name = "KEY|FILE")]
    client_key: Option<String>,
    #[command(flatten)]
    keys: KeysArg,
    /// How long the token is valid
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = amount::read_duration)]
    lifetime: Duration,
    /// The most an edge sends to this client, kbit/s; at least 16, as clients give up below 1 KiB a second
    #[arg(long, value_name = "KBIT/S")]
    rate: Option<u32>,
    /// Sessions at once, at least one; the edge's default unless told otherwise
    #[arg(long, value_name = "N")]
    sessions: Option<u16>,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs the command.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let client = match &args.client_key {
        Some(key) => Client::Public(public_key(KeyKind::ClientPublic, key)?),
        None => Client::fresh()?,
    };
    let limits =
        Limits { lifetime: args.lifetime, rate_cap_kbits: args.rate, sessions: args.sessions };
    let keys = KeyDir::open(&args.keys.keys)?;
    let grant = issue_grant(&keys, &client, &args.set, &limits, unix_seconds())?;
    file::create_grant(&args.out, &grant)?;
    let secret = match client {
        Client::Public(_) => "the client's own key is needed with it",
        Client::Secret(_) => "it holds the client's secret key: keep it as secret as the titles",
    };
    let sets = words::count(args.set.len() as u64, "set");
    let (out, time) = (args.out.display(), lifetime(args.lifetime));
    output::result(format_args!("{out}: {sets} for {time}; {secret}"))?;
    Ok(ExitCode::Success)
}

/// Whole days and hours by name.
fn lifetime(time: Duration) -> String {
    match time.as_secs() {
        s if s % 86_400 == 0 => words::count(s / 86_400, "day"),
        s if s % 3600 == 0 => words::count(s / 3600, "hour"),
        _ => rounded::duration(time),
    }
}
