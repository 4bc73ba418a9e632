//! One cell of the comparison: a fresh server, a client with so many connections, a warm-up, and the time that counts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use segcast_sysio::udp::UdpSocket;
use serde::Serialize;

use super::job::Job;
use super::link::Link;
use super::objects::Objects;
use super::process;
use super::segcast::{self, Product};
use super::settings::{self, Settings};
use super::tls::Identity;
use super::{bare, nginx, quinn, s2n_quic, serve};
use crate::measure::process::Process;
use crate::measure::{Binary, Cores, CpuClocks, CpuUse, Server, ServerSpec};

/// Time for all connections to open.
const OPENING: Duration = Duration::from_secs(15);

/// Who sends.
#[derive(Clone, Debug)]
pub(super) enum Sender {
    /// The bare seal-and-send loop.
    Bare,
    /// Segcast's edge.
    Segcast(Binary),
    /// nginx.
    Nginx,
    /// quinn.
    Quinn,
    /// s2n-quic.
    S2nQuic,
}

/// What all cells share.
#[derive(Debug)]
pub(super) struct Stage {
    /// Server and client.
    pub(super) cores: Cores,
    /// Before the time that counts.
    pub(super) warm_up: Duration,
    /// The time that counts.
    pub(super) duration: Duration,
    /// Where the settings are, and files of servers may lie.
    pub(super) folder: PathBuf,
    /// The folder of objects.
    pub(super) objects: PathBuf,
    /// The objects.
    pub(super) source: Objects,
    /// The certificate.
    pub(super) identity: Identity,
    /// The packed title.
    pub(super) product: Product,
    /// The QUIC peers' settings.
    pub(super) settings: Settings,
}

/// What came of one cell.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Outcome {
    /// Bytes of objects that came.
    pub(super) bytes: u64,
    /// Whole objects that came.
    pub(super) objects: u64,
    /// Objects that were compared, since the client's start.
    pub(super) compared: u64,
    /// The server's processor time.
    pub(super) server: CpuUse,
    /// Share of the client's core that was busy.
    pub(super) client_core_busy: f64,
}

impl Outcome {
    /// Bytes of objects for each CPU-second of the server, in units of 10^9.
    #[must_use]
    pub(super) fn gb_per_cpu_s(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.server.seconds()
    }

    /// Bytes of objects that came in a second, in units of 10^9.
    #[must_use]
    pub(super) fn gb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.server.elapsed_s
    }
}

/// A server that runs.
enum Running {
    Edge(Server),
    Peer(Process, SocketAddr),
    Bare(Process),
}

impl Running {
    fn clocks(&self) -> CpuClocks {
        match self {
            Self::Edge(server) => server.clocks(),
            Self::Peer(process, _) | Self::Bare(process) => process.clocks(),
        }
    }
}

impl Stage {
    /// Runs one cell.
    ///
    /// # Errors
    /// When a server does not start, a connection fails, or an object is not what it should be.
    pub(super) fn run(
        &self,
        sender: &Sender,
        link: &Link,
        connections: usize,
    ) -> anyhow::Result<Outcome> {
        let sink = match sender {
            Sender::Bare => Some(link.at_client(|| bare::receiver(link.client_address()))?),
            _ => None,
        };
        let server = self.start(sender, link, sink.as_ref())?;
        let job = Arc::new(Job::new(connections));
        let outcome = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let done = link
                    .become_client(self.cores)
                    .and_then(|()| self.fetch(sender, &server, sink, &job));
                if let Err(error) = done {
                    job.fail(error);
                }
            });
            let outcome = self.measure(&server, &job);
            job.stop();
            if let Err(panic) = client.join() {
                std::panic::resume_unwind(panic);
            }
            outcome
        });
        match job.take_failure() {
            Some(failure) => Err(failure),
            None => outcome,
        }
    }

    fn start(
        &self,
        sender: &Sender,
        link: &Link,
        sink: Option<&UdpSocket>,
    ) -> anyhow::Result<Running> {
        let listen = SocketAddr::new(link.server_address(), 0);
        let own = std::env::current_exe().context("this program's file")?;
        let start =
            |program: &Path, arguments| process::start(link, self.cores, program, arguments);
        match sender {
            Sender::Segcast(binary) => self.start_edge(binary, link, listen).map(Running::Edge),
            Sender::Nginx => {
                let address = process::free_tcp_address(link)?;
                let arguments =
                    nginx::arguments(&self.folder, &self.objects, &self.identity, address)?;
                let arguments = arguments.into_iter().map(PathBuf::into_os_string).collect();
                let mut server = start(Path::new("nginx"), arguments)?;
                process::accepting(&mut server, link, address)?;
                Ok(Running::Peer(server, address))
            }
            Sender::Quinn | Sender::S2nQuic => {
                let name =
                    if matches!(sender, Sender::Quinn) { "serve-quinn" } else { "serve-s2n-quic" };
                let mut server = start(&own, self.serve_arguments(name, listen))?;
                let address = process::announced(&mut server)?;
                Ok(Running::Peer(server, address))
            }
            Sender::Bare => {
                let sink = sink.context("the bare loop needs a receiver")?.local_addr();
                let mut arguments: Vec<OsString> =
                    ["peers", "serve-bare", "--from"].map(Into::into).into();
                arguments.extend(
                    [listen.ip().to_string(), "--to".into(), sink.to_string()].map(Into::into),
                );
                arguments
                    .extend(["--datagram".into(), self.settings.datagram_max.to_string().into()]);
                arguments.extend(["--objects".into(), self.objects.clone().into()]);
                let mut server = start(&own, arguments)?;
                process::announced(&mut server)?;
                Ok(Running::Bare(server))
            }
        }
    }

    fn start_edge(
        &self,
        binary: &Binary,
        link: &Link,
        listen: SocketAddr,
    ) -> anyhow::Result<Server> {
        let spec = ServerSpec {
            binary,
            store: &self.product.store,
            keys: &self.product.keys,
            listen,
            core: self.cores.server,
            namespace: link.server_namespace(),
            flags: &["--config".into(), self.folder.join(settings::EDGE).display().to_string()],
        };
        Server::start(&spec)
    }

    fn serve_arguments(&self, name: &str, listen: SocketAddr) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["peers".into(), name.into()];
        let Identity { certificate, key } = &self.identity;
        let folder = &self.folder;
        for (flag, value) in [
            ("--objects", &self.objects),
            ("--certificate", certificate),
            ("--key", key),
            ("--settings", folder),
        ] {
            arguments.extend([flag.into(), value.clone().into()]);
        }
        arguments.extend(["--listen".into(), listen.to_string().into()]);
        arguments
    }

    /// The client's part, on its own thread at its own end.
    fn fetch(
        &self,
        sender: &Sender,
        server: &Running,
        sink: Option<UdpSocket>,
        job: &Arc<Job>,
    ) -> anyhow::Result<()> {
        let (identity, source, datagram) =
            (&self.identity, &self.source, self.settings.datagram_max);
        match (sender, server) {
            (_, Running::Edge(edge)) => {
                let edge = segcast::edge(edge.address(), edge.public_key());
                self.product.fetch(job, edge, datagram)
            }
            (_, Running::Bare(_)) => {
                let sink = sink.context("the bare loop needs a receiver")?;
                bare::receive(job, sink, datagram.into())
            }
            (Sender::Nginx, Running::Peer(_, at)) => nginx::fetch(job, *at, identity, source),
            (Sender::Quinn, Running::Peer(_, at)) => {
                serve::runtime()?.block_on(quinn::fetch(job, *at, identity, source, &self.settings))
            }
            (_, Running::Peer(_, at)) => serve::runtime()?.block_on(s2n_quic::fetch(
                job,
                *at,
                identity,
                source,
                &self.settings,
            )),
        }
    }

    fn measure(&self, server: &Running, job: &Job) -> anyhow::Result<Outcome> {
        let end = Instant::now() + OPENING;
        while !job.is_open() && !job.is_stopped() {
            anyhow::ensure!(Instant::now() < end, "the connections do not open");
            sleep(Duration::from_millis(5));
        }
        sleep(self.warm_up);
        let client = CpuClocks::of(std::process::id(), self.cores.generator);
        let server = server.clocks();
        let (bytes, objects, _) = job.so_far();
        let before = (client.read()?, server.read()?);
        sleep(self.duration);
        let after = (client.read()?, server.read()?);
        let (bytes_after, objects_after, compared) = job.so_far();
        let (client, server) = (after.0 - before.0, after.1 - before.1);
        let bytes = bytes_after - bytes;
        // A job that failed says why; one that did not must have got something.
        anyhow::ensure!(job.is_stopped() || bytes > 0, "nothing came in {:?}", self.duration);
        Ok(Outcome {
            bytes,
            objects: objects_after - objects,
            compared,
            server,
            client_core_busy: client.core_busy_s / client.elapsed_s,
        })
    }
}
