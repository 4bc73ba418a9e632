//! One end of a link: a namespace with a TAP device, addresses, and its peer as a fixed neighbour,
//! so that neither ARP nor neighbour discovery takes part.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use procfs::FromRead as _;
use procfs::net::InterfaceDeviceStatus;
use segcast_lab::netns::Namespace;
use segcast_lab::tap::Tap;

/// The device's name in every namespace.
const DEVICE: &str = "link0";
/// Frames that wait in the device for the relay: 100 ms at 200 Mbit/s in full frames.
const DEVICE_QUEUE: u32 = 2000;

/// One end of a [`super::Link`].
#[derive(Debug)]
pub struct End {
    /// Where programs of this end run.
    pub namespace: Namespace,
    host: u8,
}

impl End {
    /// A configured end, and the wire's side of its device.
    pub(super) fn new(host: u8, peer: u8, mtu: u16) -> io::Result<(Self, Tap)> {
        let namespace = Namespace::new()?;
        let tap = namespace.run(|| Tap::create(DEVICE, false))??;
        let end = End { namespace, host };
        end.set_sysctls()?;
        end.namespace.ip_batch(&format!(
            "link set lo up\n\
             link set {DEVICE} address {mac} mtu {mtu} txqueuelen {DEVICE_QUEUE} addrgenmode none\n\
             link set {DEVICE} up\n\
             address add {v4}/24 dev {DEVICE}\n\
             address add {v6}/64 dev {DEVICE} nodad\n\
             neighbour replace {peer_v4} lladdr {peer_mac} nud permanent dev {DEVICE}\n\
             neighbour replace {peer_v6} lladdr {peer_mac} nud permanent dev {DEVICE}\n",
            mac = mac(host),
            v4 = ipv4(host),
            v6 = ipv6(host),
            peer_v4 = ipv4(peer),
            peer_v6 = ipv6(peer),
            peer_mac = mac(peer),
        ))?;
        end.offloads_off()?;
        Ok((end, tap))
    }

    /// The IPv4 address.
    #[must_use]
    pub fn ipv4(&self) -> IpAddr {
        ipv4(self.host).into()
    }

    /// The IPv6 address.
    #[must_use]
    pub fn ipv6(&self) -> IpAddr {
        ipv6(self.host).into()
    }

    /// A command that will run in this end's namespace.
    ///
    /// # Errors
    /// When a descriptor cannot be duplicated.
    pub fn command(&self, program: impl AsRef<OsStr>) -> io::Result<Command> {
        self.namespace.command(program)
    }

    /// Runs `work` on a thread of this end and waits for it.
    ///
    /// # Errors
    /// When the thread cannot be started inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.namespace.run(work)
    }

    /// Starts `work` on a thread of this end.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<io::Result<T>>> {
        self.namespace.spawn(work)
    }

    /// Frames that the device dropped because nobody read them in time.
    pub(super) fn frames_not_read(&self) -> io::Result<u64> {
        // The thread's own table: the process's is that of another namespace.
        let read = || InterfaceDeviceStatus::from_file("/proc/thread-self/net/dev");
        let devices = self.run(read)?.map_err(io::Error::other)?.0;
        let device = devices.get(DEVICE).ok_or_else(|| io::Error::other(format!("no {DEVICE}")))?;
        Ok(device.sent_drop)
    }

    /// TCP has room for any link here and forgets each peer; the device says nothing by itself.
    fn set_sysctls(&self) -> io::Result<()> {
        let settings = [
            ("net/ipv4/tcp_rmem", "4096 131072 33554432"),
            ("net/ipv4/tcp_wmem", "4096 131072 33554432"),
            ("net/ipv4/tcp_no_metrics_save", "1"),
            ("net/ipv6/conf/link0/accept_ra", "0"),
            ("net/ipv6/conf/link0/router_solicitations", "0"),
        ];
        self.run(|| {
            settings.into_iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/{name}");
                std::fs::write(&path, value)
                    .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
            })
        })?
    }

    /// A TAP device without a virtio header has no offloads; the kernel's own segmentation before
    /// it and its merging after it are switched off where ethtool is at hand, so that senders see
    /// a device without help.
    fn offloads_off(&self) -> io::Result<()> {
        let mut command = self.command("ethtool")?;
        command.args(["-K", DEVICE, "tso", "off", "gso", "off", "gro", "off"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn mac(host: u8) -> String {
    format!("02:00:00:00:77:{host:02x}")
}

fn ipv4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, host)
}

fn ipv6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(host))
}
