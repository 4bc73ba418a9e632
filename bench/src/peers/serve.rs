//! The peers' servers as this program run again: one process for each, that ends with its standard input.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::objects::Objects;
use super::settings::Settings;
use super::tls::Identity;
use super::{bare, quinn, s2n_quic};

/// What a QUIC server is given.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// Folder of the objects
    #[arg(long, value_name = "DIR")]
    objects: PathBuf,
    /// Where to serve
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Folder of the settings
    #[arg(long, value_name = "DIR")]
    settings: PathBuf,
    #[command(flatten)]
    identity: Identity,
}

/// What the bare loop is given.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BareArgs {
    /// Folder of the objects
    #[arg(long, value_name = "DIR")]
    objects: PathBuf,
    /// Where to send from
    #[arg(long, value_name = "ADDRESS")]
    from: IpAddr,
    /// Where to send to
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// Bytes of UDP payload
    #[arg(long, value_name = "BYTES")]
    datagram: usize,
}

/// Serves with quinn.
///
/// # Errors
/// When it cannot start.
pub(super) fn quinn(args: &ServeArgs) -> anyhow::Result<()> {
    end_with_input();
    let objects = Objects::open(&args.objects)?;
    let settings = Settings::read(&args.settings)?;
    runtime()?.block_on(quinn::serve(objects, args.listen, &args.identity, &settings, announce))
}

/// Serves with s2n-quic.
///
/// # Errors
/// When it cannot start.
pub(super) fn s2n_quic(args: &ServeArgs) -> anyhow::Result<()> {
    end_with_input();
    let objects = Objects::open(&args.objects)?;
    let settings = Settings::read(&args.settings)?;
    runtime()?.block_on(s2n_quic::serve(objects, args.listen, &args.identity, &settings, announce))
}

/// Seals and sends, no more.
///
/// # Errors
/// When it cannot start or send.
pub(super) fn bare(args: &BareArgs) -> anyhow::Result<()> {
    end_with_input();
    let objects = Objects::open(&args.objects)?;
    announce(args.to);
    bare::send(&objects, args.from, args.to, args.datagram)
}

/// One thread for everything: the server's core is one.
///
/// # Errors
/// When the runtime cannot be built.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn announce(address: SocketAddr) {
    println!("listening on {address}");
    // Whoever does not read it learns by time that this does not serve.
    let _ = std::io::stdout().flush();
}

/// Ends the process when whoever started it ends, however that ends.
fn end_with_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}
