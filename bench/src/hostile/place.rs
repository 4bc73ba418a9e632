//! Where it happens: a namespace each for edge, clients and attacker, joined by veth devices; or the loopback, for who
//! may make no namespaces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;
use segcast_lab::netns::Namespace;
use segcast_sysio::cpu::pin_current_thread;

use crate::measure::{Cores, veth};

/// The device towards the clients, and that towards the attacker.
const DEVICES: [&str; 2] = ["viewer0", "hostile0"];
/// The edge's and the clients' addresses.
const EDGE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// The link to the attacker.
const LINK: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 80, 0, 1), Ipv4Addr::new(10, 80, 0, 2)];
/// Ports in the edge's namespace: the defaults.
const PORT: u16 = 4870;
const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4871);

/// Which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Link {
    /// Three namespaces; the edge's core does all receive work for the edge, as with a card's queue. Needs root.
    Veth,
    /// The loopback: what the kernel does to receive is done on the sender's core, and is not in the figures.
    Loopback,
}

/// Somewhere to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Edge,
    Client,
    Attacker,
}

/// The place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) link: Link,
    cores: Cores,
    /// Of edge, clients and attacker; none on the loopback.
    namespaces: Option<[Namespace; 3]>,
}

impl Place {
    /// Makes the place `wanted`; without a wish namespaces, and if none can be made the loopback.
    ///
    /// # Errors
    /// When namespaces are wanted and cannot be made.
    pub(super) fn new(wanted: Option<Link>, cores: Cores) -> anyhow::Result<Self> {
        let on_loopback = Self { link: Link::Loopback, cores, namespaces: None };
        if wanted == Some(Link::Loopback) {
            return Ok(on_loopback);
        }
        match namespaces(cores).context("three namespaces joined by veth (root)") {
            Ok(made) => Ok(Self { link: Link::Veth, cores, namespaces: Some(made) }),
            Err(error) if wanted.is_none() => {
                eprintln!("on the loopback, since there is no {error:#}");
                Ok(on_loopback)
            }
            Err(error) => Err(error),
        }
    }

    /// The namespace of a side, if it has its own.
    pub(super) fn namespace(&self, side: Side) -> Option<&Namespace> {
        self.namespaces.as_ref().map(|[edge, client, attacker]| match side {
            Side::Edge => edge,
            Side::Client => client,
            Side::Attacker => attacker,
        })
    }

    /// Where the edge is to listen.
    pub(super) fn listen(&self) -> SocketAddr {
        match self.link {
            Link::Veth => SocketAddr::from((EDGE, PORT)),
            Link::Loopback => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }

    /// Where its `admin` is to listen: the default where nobody else can have it, else a port that is free now.
    pub(super) fn admin(&self) -> anyhow::Result<SocketAddr> {
        match self.link {
            Link::Veth => Ok(ADMIN),
            Link::Loopback => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?),
        }
    }

    /// The attacker's address of this number, below 60 000: its own to send from, whoever it says it is.
    pub(super) fn spoofed(&self, number: u16) -> IpAddr {
        let [high, low] = (number + 256).to_be_bytes();
        match self.link {
            Link::Veth => Ipv4Addr::new(10, 79, high, low).into(),
            Link::Loopback => Ipv4Addr::new(127, 79, high, low).into(),
        }
    }

    /// Datagrams that the attacker may send at once: as many as come with one interrupt of a card that gathers them for
    /// 40 µs. On the loopback a burst would not be cut into datagrams on its way.
    pub(super) fn burst(&self) -> usize {
        match self.link {
            Link::Veth => 4,
            Link::Loopback => 1,
        }
    }

    /// Runs `work` on a thread at `side`; for clients and attacker it is pinned to the generator's core.
    ///
    /// # Errors
    /// Those of `work`, and when the thread cannot be moved.
    pub(super) fn at<T: Send>(
        &self,
        side: Side,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                self.go(side)?;
                work()
            });
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread to `side`, for the rest of its life, and pins it to the generator's core.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub(super) fn go(&self, side: Side) -> anyhow::Result<()> {
        if let Some(namespace) = self.namespace(side) {
            namespace.enter()?;
        }
        Ok(pin_current_thread(self.cores.generator)?)
    }
}

/// The attacker's link takes frames of 9000 bytes; its bursts are cut into datagrams before they enter it; and every address of 10.79.0.0/16 is the attacker's.
fn namespaces(cores: Cores) -> anyhow::Result<[Namespace; 3]> {
    let [edge, client, attacker] = [Namespace::new()?, Namespace::new()?, Namespace::new()?];
    let [viewer0, hostile0] = DEVICES;
    edge.join(viewer0, &client, viewer0)?;
    edge.join(hostile0, &attacker, hostile0)?;
    edge.ip_batch(&format!(
        "link set lo up\n\
         address add {EDGE}/24 dev {viewer0}\n\
         link set {viewer0} mtu 1500 up\n\
         address add {}/30 dev {hostile0}\n\
         link set {hostile0} mtu 9000 up\n\
         route add 10.79.0.0/16 via {} dev {hostile0}\n",
        LINK[0], LINK[1]
    ))?;
    client.ip_batch(&format!(
        "link set lo up\naddress add {CLIENT}/24 dev {viewer0}\nlink set {viewer0} mtu 1500 up\n"
    ))?;
    attacker.ip_batch(&format!(
        "link set lo up\n\
         address add {}/30 dev {hostile0}\n\
         link set {hostile0} mtu 9000 gso_max_segs 1 up\n\
         route add local 10.79.0.0/16 dev lo\n\
         route add {EDGE}/32 via {} dev {hostile0}\n",
        LINK[1], LINK[0]
    ))?;
    for device in DEVICES {
        veth::steer(&edge, device, cores.server)?;
    }
    veth::steer(&client, viewer0, cores.generator)?;
    veth::steer(&attacker, hostile0, cores.generator)?;
    Ok([edge, client, attacker])
}
