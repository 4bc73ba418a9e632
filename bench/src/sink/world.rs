//! What a server under test has around it: a packed title, keys, and a namespace whose one device is a TAP with the
//! filter. All of it goes with this.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use procfs::FromRead as _;
use procfs::net::InterfaceDeviceStatus;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;
use rustix::fs::{Advice, fadvise};
use segcast_center::ingest::{PackOptions, pack_reader};
use segcast_center::keys::KeyDir;
use segcast_lab::netns::Namespace;
use segcast_lab::tap::Tap;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::segment::geometry::DEFAULT_SEGMENT;
use segcast_proto::token::{Claims, mint};
use segcast_store::{Options, Store};
use segcast_sysio::clock::unix_seconds;
use tempfile::TempDir;

use super::frames::Endpoint;
use super::generator::Cable;
use super::session::Identity;
use crate::measure::metrics::{self, Counters};

const DEVICE: &str = "sink0";
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 2), 4870);
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 2];
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 1];
/// The edge's default `admin`, on the namespace's own loopback.
pub(super) const ADMIN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4871);
/// Frames that the device keeps until the generator takes them: some ten single datagrams of each of ten thousand sessions.
/// What is dropped for want of room would be missing in the books.
const QUEUE: u32 = 1 << 17;
/// What IPv4 and UDP add to a datagram.
const IP_HEADERS: usize = 28;

/// A packed title and the keys to serve it.
pub(crate) struct Packed {
    folder: TempDir,
    pub(crate) center: SigningKey,
    pub(crate) set: SetId,
    pub(crate) segments: u32,
    pub(super) segment_bytes: u32,
}

impl Packed {
    /// Packs `title`, of whole segments and at least `bytes`, in the clear: then what sessions carry is the title itself.
    pub(crate) fn new(
        folder: Option<&Path>,
        bytes: u64,
        title: impl FnOnce(u64) -> Box<dyn Read + Send>,
    ) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        };
        let folder = folder.context("a temporary folder")?;
        let segment = u64::from(DEFAULT_SEGMENT);
        let length = bytes.div_ceil(segment).max(1) * segment;
        let keys = KeyDir::open(&folder.path().join("keys"))?;
        let options = Options { create: true, ..Options::default() };
        let store = Store::open(&folder.path().join("store"), &options)?;
        let clear = PackOptions { name: "sink".into(), clear: true, ..PackOptions::default() };
        let label = Path::new("the bench's title");
        let packed = pack_reader(title(length), (label, length), &clear, &keys, &store, |_| ())?;
        Ok(Self {
            center: keys.center()?,
            set: packed.set,
            segments: packed.geometry.segments(),
            segment_bytes: packed.geometry.segment_bytes(),
            folder,
        })
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Takes the title's segments out of the page cache. Pages that somebody has mapped stay.
    ///
    /// # Errors
    /// When a file cannot be read (posix_fadvise(2)).
    pub(crate) fn evict(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(self.store().join("segments"))? {
            let file = File::open(entry?.path())?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
        Ok(())
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// Client `number`: fresh keys from `rng`, and a token for them.
    ///
    /// # Errors
    /// When no token can be made.
    pub(super) fn identity(
        &self,
        number: u64,
        rate_cap_kbits: Option<u32>,
        rng: &mut ChaCha20Rng,
    ) -> anyhow::Result<Identity> {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let secret = StaticSecret::new(secret);
        let token = self.token(number, &secret, rate_cap_kbits)?;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Ok(Identity { secret, token, seed })
    }

    /// A token for one client.
    pub(crate) fn token(
        &self,
        number: u64,
        secret: &StaticSecret,
        rate_cap_kbits: Option<u32>,
    ) -> anyhow::Result<Vec<u8>> {
        let unix = unix_seconds();
        let claims = Claims {
            expires: unix + 24 * 3600,
            not_before: unix - 60,
            token_id: number.to_be_bytes(),
            client_public: secret.public(),
            sets: vec![self.set],
            rate_cap_kbits,
            sessions: None,
            grace: None,
            plays: vec![],
        };
        Ok(mint(&claims, &self.center)?)
    }
}

/// The namespace of one server.
pub(crate) struct Net {
    pub(crate) namespace: Namespace,
}

impl Net {
    /// A namespace whose device carries datagrams of `datagram` bytes; and the cable's other end. Every client is behind
    /// one router with a fixed neighbour entry, so neither ARP nor a route for each takes part.
    pub(crate) fn new(datagram: usize) -> anyhow::Result<(Self, Tap)> {
        let namespace = Namespace::new().context("a network namespace (needs CAP_SYS_ADMIN)")?;
        let tap = namespace.run(|| Tap::create(DEVICE, true))?;
        let tap = tap.context("a TAP device (needs CAP_NET_ADMIN and /dev/net/tun)")?;
        let net = Self { namespace };
        net.namespace.ip_batch(&format!(
            "link set lo up\n\
             link set {DEVICE} address {server_mac} mtu {mtu} addrgenmode none txqueuelen {QUEUE}\n\
             link set {DEVICE} up\n\
             address add {server}/24 dev {DEVICE}\n\
             neighbour replace {ROUTER} lladdr {router_mac} nud permanent dev {DEVICE}\n\
             route add default via {ROUTER} dev {DEVICE}\n",
            server = SERVER.ip(),
            server_mac = mac(SERVER_MAC),
            router_mac = mac(ROUTER_MAC),
            mtu = (datagram + IP_HEADERS).max(1500),
        ))?;
        Ok((net, tap))
    }

    /// Where the ends of the cable are.
    pub(super) fn cable() -> Cable {
        let server = Endpoint { mac: SERVER_MAC, address: *SERVER.ip(), port: SERVER.port() };
        Cable { server, router_mac: ROUTER_MAC }
    }

    /// Where the server listens.
    pub(crate) fn server_address() -> SocketAddr {
        SERVER.into()
    }

    /// What the edge's `/metrics` says.
    pub(super) fn metrics(&self) -> anyhow::Result<Counters> {
        self.namespace.run(|| metrics::fetch(ADMIN.into()))?
    }

    /// Frames that the device has given to the cable, and frames that it dropped.
    pub(super) fn device(&self) -> anyhow::Result<(u64, u64)> {
        // The thread's own table: the process's is that of another namespace.
        let read = || InterfaceDeviceStatus::from_file("/proc/thread-self/net/dev");
        let devices = self.namespace.run(read)??.0;
        let device = devices.get(DEVICE).with_context(|| format!("no {DEVICE}: {devices:?}"))?;
        Ok((device.sent_packets, device.sent_drop))
    }
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}
