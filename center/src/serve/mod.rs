//! Starting, serving, stopping.

mod listener;
mod opened;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use segcast_api::text::Secret;
use segcast_config::{Admin, ExitCode};
use segcast_keys::file::KeyFileError;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};
use tokio_rustls::TlsAcceptor;

pub use self::opened::{Opened, open};
use self::tls::TlsError;
use crate::app::App;
use crate::config::Config;
use crate::db::DbError;
use crate::http::{self, Http};
use crate::seats::Seats;
use crate::service::{accounts, upkeep};
use crate::vault::{MasterError, VaultError};
use crate::watch::{self as watching, Metrics, Watched};

/// Connections of the listener for metrics and health, of all and of one network.
const ADMIN_SEATS: (usize, usize) = (64, 64);

/// How often what has ended is removed from the database.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// Why a center does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder.
    #[error("{}: the state folder cannot be made: {source}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may look into it.
    #[error("{}: mode {mode:04o} lets others at keys: chmod 700 {}", .path.display(), .path.display())]
    FolderMode {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The master key.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// The master key of a database that has one already.
    #[error("{source}; the database needs the master key {wanted}")]
    MasterMissing {
        /// Its id.
        wanted: String,
        /// Why it is not to be had.
        source: MasterError,
    },
    /// Another key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What is wrapped, or signed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address.
    #[error("{address}: cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Threads or signals.
    #[error("the system: {0}")]
    System(#[from] io::Error),
}

impl StartError {
    /// The exit code of a process that ends for it.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        match self {
            Self::Folder { .. } | Self::System(_) => ExitCode::LocalFile,
            Self::Database(error) if error.is_unavailable() => ExitCode::Network,
            Self::Database(_) => ExitCode::LocalFile,
            Self::Listen { .. } => ExitCode::Network,
            Self::FolderMode { .. }
            | Self::Master(_)
            | Self::MasterMissing { .. }
            | Self::Key(_)
            | Self::Vault(_)
            | Self::Tls(_) => ExitCode::NotAllowed,
        }
    }
}

/// What a start came to.
#[derive(Debug)]
pub struct Started {
    /// Where it serves, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Where metrics and health are.
    pub admin: Option<SocketAddr>,
    /// What clients take as `--ca`.
    pub certificate: PathBuf,
    /// The folder of its state.
    pub state: PathBuf,
    /// The first operator's one-time password, at the first start.
    pub password: Option<Secret>,
    /// Files that were made now and must be kept safe.
    pub made: Vec<PathBuf>,
}

/// Serves until a signal says to stop; `started` is told once.
///
/// # Errors
/// [`StartError`] when it does not start.
pub fn run(config: &Config, started: impl FnOnce(&Started)) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config, started))
}

/// Looks at what a start needs, and leaves no trace but in the database, which is opened.
///
/// # Errors
/// [`StartError`].
pub fn check(config: &Config) -> Result<(), StartError> {
    if config.state.exists() {
        config.master_key.obtain(&config.state, false)?;
        let (certificate, key) = tls_files(config);
        if certificate.exists() || key.exists() {
            tls::load(&certificate, &key)?;
        }
    }
    for address in &config.listen {
        let listen = std::net::TcpListener::bind(address);
        listen.map_err(|source| StartError::Listen { address: *address, source })?;
    }
    Ok(())
}

fn tls_files(config: &Config) -> (PathBuf, PathBuf) {
    (config.state.join(&config.tls_certificate), config.state.join(&config.tls_key))
}

async fn serve(config: &Config, started: impl FnOnce(&Started)) -> Result<(), StartError> {
    let Opened { app, made } = open(config).await?;
    let (certificate, key) = tls_files(config);
    tls::make_missing(&certificate, &key, &config.listen)?;
    let acceptor = tls::load(&certificate, &key)?;
    let password = first_password(&app).await?;
    let parts = Parts::new(config, &app);
    let (stop, stopped) = watch::channel(false);
    let mut addresses = Vec::new();
    let mut tasks = Vec::new();
    for address in &config.listen {
        let (address, task) = parts.listen(*address, Some(acceptor.clone()), &stopped).await?;
        addresses.push(address);
        tasks.push(task);
    }
    let admin = match config.admin {
        Admin::Off => None,
        // It answers until the process ends: what is draining is told there.
        Admin::Listen(address) => Some(parts.listen(address, None, &stopped).await?.0),
    };
    let purge = tokio::spawn(purge(app.clone()));
    let state = config.state.clone();
    let signals = signals()?;
    started(&Started { addresses, admin, certificate, state, password, made });
    let is_patient = signals.await;
    parts.watched.draining.store(true, Ordering::Relaxed);
    tracing::info!("stopping");
    if is_patient {
        sleep(config.drain_delay).await;
    }
    let _ = stop.send(true);
    for task in tasks {
        let _ = task.await;
    }
    purge.abort();
    app.db.close().await;
    Ok(())
}

/// What the listeners serve.
struct Parts {
    api: Router,
    seats: Arc<Seats>,
    admin: Router,
    watched: Watched,
    drain: Duration,
}

impl Parts {
    fn new(config: &Config, app: &App) -> Self {
        let trusted: Vec<_> = config.trusted_proxies.iter().map(|proxy| proxy.0).collect();
        let (all, of_network) = (config.connections_max, config.connections_per_network);
        let seats = Arc::new(Seats::new(all as usize, of_network as usize, trusted.clone()));
        let metrics = Arc::new(Metrics::new());
        let http = Http {
            app: app.clone(),
            metrics: Arc::clone(&metrics),
            trusted: trusted.into(),
            rate_factor: config.rate_factor,
        };
        let draining = Arc::new(AtomicBool::new(false));
        let watched = Watched { app: app.clone(), metrics, seats: Arc::clone(&seats), draining };
        let admin = watching::router(watched.clone());
        Self { api: http::router(&http), seats, admin, watched, drain: config.drain_timeout }
    }

    /// Listens: with TLS for the interface, without for metrics and health.
    async fn listen(
        &self,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        stop: &watch::Receiver<bool>,
    ) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let (router, seats) = if tls.is_some() {
            (self.api.clone(), Arc::clone(&self.seats))
        } else {
            let (all, of_network) = ADMIN_SEATS;
            (self.admin.clone(), Arc::new(Seats::new(all, of_network, Vec::new())))
        };
        let served = listener::serve(listener, (tls, router), seats, stop.clone(), self.drain);
        Ok((bound, tokio::spawn(served)))
    }
}

/// Waits for a signal, from now on; whether it is one of a supervisor, who may have to tell a balancer.
fn signals() -> io::Result<impl Future<Output = bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => false,
        }
    })
}

async fn purge(app: App) {
    let mut turn = interval(PURGE_EVERY);
    loop {
        turn.tick().await;
        match upkeep::purge(&app).await {
            Ok(rows) => tracing::debug!(rows, "purged"),
            Err(error) => tracing::warn!(%error, "what has ended could not be removed"),
        }
    }
}

/// Makes the first operator where there is no account yet, and gives their one-time password.
async fn first_password(app: &App) -> Result<Option<Secret>, StartError> {
    let mut bytes = zeroize::Zeroizing::new([0; 10]);
    getrandom::fill(bytes.as_mut_slice()).map_err(VaultError::Random)?;
    let password = Secret::new(hex::encode(bytes.as_slice()));
    Ok(accounts::make_first(app, password.clone()).await?.then_some(password))
}

#[cfg(test)]
mod tests;
