//! A whole edge: started, reloaded, drained, joined. `segcast edge` runs one per process; tests and
//! `segcast demo` run them in theirs.

mod build;
mod check;
mod error;
mod groups;
mod run;
mod serve;
mod supervisor;
mod watch;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use build::Bound;
pub use check::{Checked, check, excesses};
use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::sync::WaitGroup;
pub use error::StartError;
use groups::Sending;
pub use run::run;
use segcast_config::Configuration;
use segcast_proto::handshake::EdgeIdentity;
use segcast_proto::token::Keyring;
use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Catalogue, Reader};
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::UdpSocket;
pub use supervisor::{Alone, Supervisor};
use watch::Watch;

use crate::admin::Side;
use crate::announcement::Announcement;
use crate::board::Board;
use crate::config::{Admin, Config, Io, Multicast, SessionLog};
use crate::dry_run::DryRun;
use crate::keyfiles::{self, KeyError};
use crate::limits;
use crate::mailbox::{Mailbox, Report, Served};
use crate::populate::Pool;
use crate::session_log::{self, Writer};
use crate::shard::{self, GroupSetup, Setup};

/// A running edge. Dropping it stops it at once; [`Server::join`] ends it in order.
pub struct Server {
    config: Config,
    addresses: Vec<SocketAddr>,
    identity: Arc<EdgeIdentity>,
    catalogue: Catalogue,
    watch: Option<Watch>,
    board: Arc<Board>,
    mailboxes: Arc<[Mailbox]>,
    shards: Vec<JoinHandle<()>>,
    reports: Receiver<Report>,
    sender: Sender<Report>,
    side: Side,
    session_log: Writer,
    populate: Pool,
    dry_run: Option<DryRun>,
}

/// Ends a [`Server`] from another thread.
#[derive(Clone, Debug)]
pub struct Handle(Sender<Report>);

impl Handle {
    /// Refuses new sessions and requests, finishes and closes the others; [`Server::join`] then returns.
    pub fn drain(&self) {
        // When nobody listens the server has ended already.
        let _ = self.0.send(Report::DrainWanted);
    }

    /// Tells the server of a signal to its process.
    fn signal(&self, signal: i32) -> bool {
        self.0.send(Report::Signal(signal)).is_ok()
    }
}

impl Server {
    /// Starts an edge and returns when every shard serves.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub fn start(config: Config) -> Result<Self, StartError> {
        config.check(&std::collections::BTreeMap::new())?;
        build::raise_limits();
        let identity = Arc::new(EdgeIdentity::new(keyfiles::edge_secret(&config.key_file)?));
        let keyring = Arc::new(keyring(&config)?);
        let store = open_store(&config)?;
        let cores = build::shards(&config)?;
        let io = build::io(&config)?;
        let admin = admin_listener(&config)?;
        let session_log = open_session_log(&config.session_log)?;
        let Bound { addresses, sockets, .. } = build::bind(&config, cores.len())?;
        let sending = groups::sending(&config, shard_count(&cores))?;

        let board = Arc::new(Board::new(cores.len()));
        board.set_store_open();
        board.set_log_client_address(config.log_client_address);
        let (sender, reports) = bounded(limits::REPORTS);
        let dry_run = match config.multicast {
            Multicast::DryRun => {
                Some(DryRun::start(&config, random()?, &board, &sender).map_err(no_thread)?)
            }
            Multicast::Off | Multicast::On => None,
        };
        let told = dry_run.as_ref().map(DryRun::queue);
        let side = Side::start(&board, sender.clone(), admin, told).map_err(no_thread)?;
        let session_log = Writer::start(&board, sender.clone(), session_log).map_err(no_thread)?;
        let mailboxes: Arc<[Mailbox]> = cores
            .iter()
            .map(|_| if sending.is_empty() { Mailbox::new() } else { Mailbox::with_groups() })
            .collect();
        let populate = Pool::start(
            config.populate_threads,
            build::lock_bytes(),
            Arc::clone(&mailboxes),
            &board,
            &sender,
        )
        .map_err(no_thread)?;
        let catalogue = store.catalogue();
        build::log_memory_budget(&config, cores.len(), catalogue.page_bytes());
        for excess in build::excesses(&config, cores.len(), catalogue.page_bytes()) {
            tracing::warn!("{excess}");
        }

        let mut server = Self {
            config,
            addresses,
            identity,
            catalogue,
            watch: None,
            board,
            mailboxes,
            shards: Vec::new(),
            reports,
            sender,
            side,
            session_log,
            populate,
            dry_run,
        };
        server.populate.adopt(&server.catalogue);
        server.spawn_shards(io, &cores, sockets, sending, keyring)?;
        server.wait_until_serving()?;
        let watch = Watch::start(store, &server.board, server.sender.clone());
        server.watch = Some(watch.map_err(no_thread)?);
        tracing::info!(
            addresses = ?server.addresses,
            shards = cores.len(),
            sets = server.catalogue.sets().len(),
            admin = server.side.address().map(tracing::field::display),
            "serving"
        );
        Ok(server)
    }

    /// Starts a shard on each of `cores` with its sockets; each knows how many there are.
    fn spawn_shards(
        &mut self,
        io: IoKind,
        cores: &[Option<usize>],
        sockets: Vec<Vec<UdpSocket>>,
        sending: Vec<Sending>,
        keyring: Arc<Keyring>,
    ) -> Result<(), StartError> {
        let shards = shard_count(cores);
        let mut sending = sending.into_iter();
        let sets = Arc::new(self.config.sets.clone());
        let cap = build::egress_cap(&self.config);
        let rings = WaitGroup::new();
        let shared_secret = random()?;
        for ((shard, core), mut sockets) in (0..).zip(cores).zip(sockets) {
            let sending = match sending.next() {
                Some(Sending { socket, owner }) => {
                    sockets.push(socket);
                    Some(GroupSetup { owner, seed: random()? })
                }
                None => None,
            };
            let setup = Setup {
                shard,
                core: *core,
                io,
                or_mmsg: self.config.io == Io::Auto,
                rings: rings.clone(),
                sockets,
                driver: build::driver(&self.config),
                endpoint: build::endpoint(&self.config, &self.identity, cap.clone(), shard, shards),
                keyring: Arc::clone(&keyring),
                shared_secret,
                seed: random()?,
                catalogue: self.catalogue.clone(),
                sets: Arc::clone(&sets),
                groups: self.config.multicast != Multicast::Off,
                mailboxes: Arc::clone(&self.mailboxes),
                populate: self.populate.queue(),
                dry_run: self.dry_run.as_ref().map(DryRun::queue),
                board: Arc::clone(&self.board),
                reports: self.sender.clone(),
                sending,
            };
            self.shards.push(shard::spawn(setup).map_err(no_thread)?);
        }
        Ok(())
    }

    fn wait_until_serving(&self) -> Result<(), StartError> {
        let mut serving = 0;
        while serving < self.shards.len() {
            match self.reports.recv() {
                Ok(Report::Serving) => serving += 1,
                Ok(Report::Ended { thread, failure }) => {
                    let reason = failure.unwrap_or_else(|| "it has ended".to_owned());
                    return Err(StartError::Thread { thread, reason });
                }
                // Nobody has a handle yet, and a shard reports in order.
                Ok(
                    Report::Drained | Report::Signal(_) | Report::DrainWanted | Report::Store(_),
                )
                | Err(_) => {
                    return Err(StartError::system("start", "an unexpected report"));
                }
            }
        }
        Ok(())
    }

    /// The addresses that are served, wildcards and ports resolved.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics and health are served.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.side.address()
    }

    /// The edge's public key, which clients must know.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        *self.identity.public()
    }

    /// What whoever started this edge should be told.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        Announcement { addresses: self.addresses.clone(), public_key: self.public_key() }
    }

    /// Something that ends the server from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.sender.clone())
    }

    /// Begins a drain; see [`Handle::drain`].
    pub fn drain(&self) {
        self.handle().drain();
    }

    /// Takes over what can change while the edge serves: center keys (their files are read again), sets, and the
    /// settings of logs (that of sessions is opened again) and drain. Returns the keys of `new` that need a restart.
    ///
    /// # Errors
    /// [`StartError::Keys`] and [`StartError::SessionLog`]; everything then stays as it was.
    pub fn reload(&mut self, new: &Config) -> Result<Vec<&'static str>, StartError> {
        let keyring = Arc::new(keyring(new)?);
        let session_log = open_session_log(&new.session_log)?;
        for mailbox in &*self.mailboxes {
            mailbox.post_keyring(Arc::clone(&keyring));
        }
        self.board.set_log_client_address(new.log_client_address);
        self.session_log.reopen(session_log);
        let restart = self.config.restart_keys(new);
        self.config.center_keys.clone_from(&new.center_keys);
        self.config.sets.clone_from(&new.sets);
        self.tell_served();
        self.config.session_log.clone_from(&new.session_log);
        self.config.log_level = new.log_level;
        self.config.log_client_address = new.log_client_address;
        self.config.drain_timeout = new.drain_timeout;
        Ok(restart)
    }

    /// Serves what is in the store now.
    fn show(&mut self, catalogue: Catalogue) {
        // First, so that no shard asks for a set of which the helper threads know nothing.
        self.populate.adopt(&catalogue);
        self.catalogue = catalogue;
        self.tell_served();
    }

    fn tell_served(&self) {
        let sets = Arc::new(self.config.sets.clone());
        for mailbox in &*self.mailboxes {
            let (catalogue, sets) = (self.catalogue.clone(), Arc::clone(&sets));
            mailbox.post_served(Served { catalogue, sets });
        }
    }
}

/// Whether a running edge would take `new` over: reads what a reload reads.
///
/// # Errors
/// Those of [`Server::reload`].
pub fn reloadable(new: &Config) -> Result<(), StartError> {
    keyring(new)?;
    probe_session_log(&new.session_log)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens the store and says what of it cannot be served.
fn open_store(config: &Config) -> Result<Reader, StartError> {
    let store = Reader::open(&config.store, PAGE_MEMORY_DEFAULT)?;
    watch::tell_damage(&[], store.damage());
    if let Some(error) = store.unannounced() {
        tracing::warn!(%error, "the store's file system has no locks: write to it only while no edge serves it");
    }
    Ok(store)
}

fn keyring(config: &Config) -> Result<Keyring, KeyError> {
    Ok(Keyring::new(keyfiles::centers(&config.center_keys)?))
}

fn admin_listener(config: &Config) -> Result<Option<TcpListener>, StartError> {
    let Admin::Listen(address) = config.admin else { return Ok(None) };
    let listener = TcpListener::bind(address);
    listener.map(Some).map_err(|reason| StartError::Admin { address, reason })
}

fn open_session_log(to: &SessionLog) -> Result<Option<File>, StartError> {
    let SessionLog::File(path) = to else { return Ok(None) };
    let file = session_log::open(path);
    file.map(Some).map_err(|reason| StartError::SessionLog { path: path.clone(), reason })
}

/// Whether [`open_session_log`] would succeed; it makes no file.
fn probe_session_log(to: &SessionLog) -> Result<(), StartError> {
    let SessionLog::File(path) = to else { return Ok(()) };
    let found = session_log::probe(path);
    found.map_err(|reason| StartError::SessionLog { path: path.clone(), reason })
}

/// How many shards there are.
fn shard_count(cores: &[Option<usize>]) -> u8 {
    u8::try_from(cores.len()).expect("SHARDS_MAX fits")
}

fn no_thread(error: std::io::Error) -> StartError {
    StartError::system("cannot start a thread", error)
}

fn random() -> Result<[u8; 32], StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| StartError::system("no randomness", e))?;
    Ok(bytes)
}
