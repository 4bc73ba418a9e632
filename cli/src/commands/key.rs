//! `segcast key`: makes a client's key pair, so that the center signs a token for a secret it never sees; or an edge's.

use std::path::PathBuf;

use clap::Args;
use segcast_config::ExitCode;
use segcast_keys::file;
use segcast_keys::keytext::{self, KeyKind};

use crate::{output, secret};

/// Arguments of `segcast key`.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    /// Where to put the secret key; the public key goes to FILE with the ending .pub
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make an edge's keys, for its key_file, instead of a client's
    #[arg(long)]
    edge: bool,
}

/// Runs the command.
pub(crate) fn run(args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let public_file = args.file.with_extension("pub");
    let (whose, secret_kind, public_kind) = if args.edge {
        ("edge", KeyKind::EdgeSecret, KeyKind::EdgePublic)
    } else {
        ("client", KeyKind::ClientSecret, KeyKind::ClientPublic)
    };
    anyhow::ensure!(
        public_file != args.file,
        "{}: this name is for the public key; name the secret one {whose}.key",
        args.file.display()
    );
    let secret = secret::fresh_key()?;
    let public = secret.public();
    file::create(&args.file, secret_kind, secret.expose())?;
    file::create(&public_file, public_kind, &public)?;
    output::result(keytext::format(public_kind, &public).trim_end())?;
    Ok(ExitCode::Success)
}
