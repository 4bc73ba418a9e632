//! What lies between server and client: the loopback, or two network namespaces that a pair of veth devices joins.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context as _;
use segcast_lab::netns::Namespace;
use segcast_sysio::cpu::pin_current_thread;

use crate::measure::{Cores, veth};

/// The device in each namespace.
const DEVICE: &str = "peer0";
/// Addresses of server and client.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(10, 78, 0, 2)];

/// Which link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LinkKind {
    /// The loopback: the sender's core also takes what it sent to the receiver's socket.
    Loopback,
    /// Two namespaces, an Ethernet of 1500 bytes; each end receives on its own core (RPS), as with a card's queues.
    Veth,
}

impl LinkKind {
    /// How it is called.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Veth => "veth",
        }
    }
}

/// A link that is ready.
#[derive(Debug)]
pub(super) struct Link {
    kind: LinkKind,
    /// Of server and client; none for the loopback.
    ends: Option<[Namespace; 2]>,
}

impl Link {
    /// Makes the link.
    ///
    /// # Errors
    /// Veth needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN), `ip` of iproute2, and `unshare` and `mount` of util-linux.
    pub(super) fn new(kind: LinkKind, cores: Cores) -> anyhow::Result<Self> {
        let ends = match kind {
            LinkKind::Loopback => None,
            LinkKind::Veth => Some(veth(cores).context("the veth link (it needs root)")?),
        };
        Ok(Self { kind, ends })
    }

    /// Which link it is.
    #[must_use]
    pub(super) fn kind(&self) -> LinkKind {
        self.kind
    }

    /// The server's namespace, if it has its own.
    #[must_use]
    pub(super) fn server_namespace(&self) -> Option<&Namespace> {
        self.ends.as_ref().map(|[server, _]| server)
    }

    /// The server's address.
    #[must_use]
    pub(super) fn server_address(&self) -> IpAddr {
        match self.kind {
            LinkKind::Loopback => Ipv4Addr::LOCALHOST.into(),
            LinkKind::Veth => ADDRESSES[0].into(),
        }
    }

    /// The client's address.
    #[must_use]
    pub(super) fn client_address(&self) -> IpAddr {
        match self.kind {
            LinkKind::Loopback => Ipv4Addr::LOCALHOST.into(),
            LinkKind::Veth => ADDRESSES[1].into(),
        }
    }

    /// Runs `work` at the client's end, on the thread's own cores.
    ///
    /// # Errors
    /// Those of `work`, and when the namespace cannot be entered.
    pub(super) fn at_client<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        match &self.ends {
            Some([_, client]) => client.run(work)?,
            None => work(),
        }
    }

    /// Runs `work` at the server's end, on the thread's own cores.
    ///
    /// # Errors
    /// Those of `work`, and when the namespace cannot be entered.
    pub(super) fn at_server<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        match self.server_namespace() {
            Some(namespace) => namespace.run(work)?,
            None => work(),
        }
    }

    /// Moves the calling thread to the client's end and core, for the rest of its life.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub(super) fn become_client(&self, cores: Cores) -> anyhow::Result<()> {
        if let Some([_, client]) = &self.ends {
            client.enter()?;
        }
        Ok(pin_current_thread(cores.generator)?)
    }
}

fn veth(cores: Cores) -> anyhow::Result<[Namespace; 2]> {
    let [server, client] = [Namespace::new()?, Namespace::new()?];
    server.join(DEVICE, &client, DEVICE)?;
    for (end, address, core) in
        [(&server, ADDRESSES[0], cores.server), (&client, ADDRESSES[1], cores.generator)]
    {
        end.ip_batch(&format!(
            "link set lo up\n\
                 address add {address}/24 dev {DEVICE}\n\
                 link set {DEVICE} mtu 1500 up\n"
        ))?;
        veth::steer(end, DEVICE, core)?;
    }
    Ok([server, client])
}
