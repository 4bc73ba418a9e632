//! Segcast in the comparison: the shipped binary packs, signs and serves; the production client's sessions fetch.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use segcast_client::access::{Access, EdgeAddress};
use segcast_client::connection::{ConnectionConfig, Connections, now};
use segcast_client::fetch;
use segcast_keys::grant::Grant;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::session::client::{ClientEvent, Fetched};
use segcast_proto::time::Duration;

use super::job::Job;
use super::objects::{OBJECT_BYTES, OBJECTS};

/// Sessions that the token allows: more than any cell has.
const SESSIONS: &str = "1000";
/// The end of the job is looked at this often.
const TURN: Duration = Duration::from_millis(5);

/// A packed title in a folder: store, keys, and the grant for the client.
#[derive(Debug)]
pub(super) struct Product {
    /// The segment store.
    pub(super) store: PathBuf,
    /// Keys of center and edge.
    pub(super) keys: PathBuf,
    access: Access,
}

impl Product {
    /// Packs `title` with the shipped `binary`; everything lies in `folder`.
    ///
    /// # Errors
    /// What the binary says, or when its segments are not the size of the objects.
    pub(super) fn pack(binary: &Path, title: &Path, folder: &Path) -> anyhow::Result<Self> {
        let path = |name: &str| folder.join(name);
        let (store, keys, grant) = (path("store"), path("keys"), path("grant"));
        let mut pack = Command::new(binary);
        pack.arg("pack").arg(title).arg("--out").arg(&store).arg("--keys").arg(&keys);
        pack.args(["--segment-size", &format!("{OBJECT_BYTES} B"), "--json"]);
        let packed: serde_json::Value = serde_json::from_slice(&run(&mut pack)?)?;
        anyhow::ensure!(
            packed["segments"] == OBJECTS,
            "packed into {} segments",
            packed["segments"]
        );
        let set = packed["set"].as_str().context("pack names no set")?;
        let mut token = Command::new(binary);
        token.args(["token", "--set", set, "--sessions", SESSIONS]);
        token.arg("--out").arg(&grant).arg("--keys").arg(&keys);
        run(&mut token)?;
        let grant = Grant::from_json(&std::fs::read_to_string(grant)?)?;
        Ok(Self { store, keys, access: Access::new(grant, None)? })
    }

    /// Does `job` with the edge, every session with a socket of its own, all on the calling thread.
    ///
    /// # Errors
    /// When no session can be made or the manifest is refused. What fails later is the job's failure.
    pub(super) fn fetch(
        &self,
        job: &Arc<Job>,
        edge: EdgeAddress,
        datagram_max: u16,
    ) -> anyhow::Result<()> {
        let config = ConnectionConfig {
            datagram_max: usize::from(datagram_max),
            ..ConnectionConfig::default()
        };
        let stop = AtomicBool::new(false);
        let (manifest, _) = fetch::manifest(&[edge], &self.access, None, config.clone(), &stop)?;
        let edges = vec![edge; job.connections];
        let connections = Connections::open(&edges, self.access.clone(), config)?;
        let orders = (0..job.connections).map(|index| job.order(index)).collect();
        let open = vec![false; job.connections];
        let mut client = Client { connections, manifest: &manifest, open, orders, counted: 0, job };
        let result = client.run();
        client.connections.close();
        if let Err(error) = result {
            job.fail(error.context("segcast"));
        }
        Ok(())
    }
}

/// An edge's address and key.
#[must_use]
pub(super) fn edge(address: SocketAddr, public_key: [u8; 32]) -> EdgeAddress {
    EdgeAddress { address, public_key }
}

fn run(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(output.stdout)
}

struct Client<'a, Order> {
    connections: Connections,
    manifest: &'a Manifest,
    /// Which sessions have been open. One that had to open again goes on by itself.
    open: Vec<bool>,
    /// What each session asks for.
    orders: Vec<Order>,
    /// Bytes of data that the job knows of.
    counted: u64,
    job: &'a Job,
}

impl<Order: Iterator<Item = u32>> Client<'_, Order> {
    fn run(&mut self) -> anyhow::Result<()> {
        while !self.job.is_stopped() {
            self.connections.turn(TURN)?;
            while let Some((session, event)) = self.connections.poll_event() {
                self.on_event(session, event)?;
            }
            self.count();
        }
        Ok(())
    }

    fn on_event(&mut self, session: usize, event: ClientEvent) -> anyhow::Result<()> {
        match event {
            ClientEvent::Open if std::mem::replace(&mut self.open[session], true) => Ok(()),
            ClientEvent::Open => {
                self.job.opened();
                self.ask(session)
            }
            ClientEvent::Object(fetched) => self.on_object(session, &fetched),
            ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => Ok(()),
            other => anyhow::bail!("session {session}: {other:?}"),
        }
    }

    fn on_object(&mut self, session: usize, fetched: &Fetched) -> anyhow::Result<()> {
        self.ask(session)?;
        let (object, length) = (fetched.object.0, fetched.bytes.len());
        anyhow::ensure!(length == OBJECT_BYTES, "object {object} came with {length} bytes");
        self.job.completed();
        if self.job.claim(object) {
            self.manifest.verify_segment(object, &fetched.bytes)?;
            self.job.compared();
        }
        Ok(())
    }

    fn ask(&mut self, session: usize) -> anyhow::Result<()> {
        let object = self.orders[session].next().context("the order has no end")?;
        let length = u32::try_from(OBJECT_BYTES)?;
        let client = self.connections.session(session);
        client.fetch(
            now(),
            SetHandle::FIRST,
            ObjectNumber(object),
            Some(length),
            Duration::ZERO,
        )?;
        Ok(())
    }

    /// Tells the job what came since the last turn; bytes that came twice are not among it.
    fn count(&mut self) {
        let all = 0..self.connections.len();
        let bytes: u64 = all.map(|session| self.connections.stats(session).data_bytes).sum();
        self.job.received(usize::try_from(bytes - self.counted).unwrap_or(usize::MAX));
        self.counted = bytes;
    }
}
