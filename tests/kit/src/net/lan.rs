//! A local network in namespaces: an edge, viewers, and a switch that learns by IGMP who wants which group (RFC 4541).

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use segcast_lab::netns::Namespace;

/// The device of the edge and of each viewer.
pub const DEVICE: &str = "lan0";
/// The edge's address.
pub const EDGE: Ipv4Addr = Ipv4Addr::new(10, 82, 0, 1);

/// The network. Devices cut trains into datagrams before they leave, and nothing merges them: each is lost by itself.
#[derive(Debug)]
pub struct Lan {
    /// Where the edge runs.
    pub edge: Host,
    /// Where viewers run.
    pub viewers: Vec<Host>,
    /// Keeps the namespace.
    _switch: Namespace,
}

/// A namespace with one device on the network.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
}

impl Lan {
    /// A network with so many viewers.
    ///
    /// # Errors
    /// Without the right to make namespaces and devices, or ip(8).
    pub fn new(viewers: u8) -> io::Result<Self> {
        let switch = Namespace::new()?;
        // The switch asks who wants what; until hosts had this time to answer it sends everything everywhere.
        switch.ip_batch(
            "link add switch0 type bridge mcast_snooping 1 mcast_querier 1 mcast_igmp_version 3 \
             mcast_query_response_interval 10\n\
             link set switch0 up\n",
        )?;
        let host = |number: u8, address: Ipv4Addr| -> io::Result<Host> {
            let namespace = Namespace::new()?;
            let port = format!("port{number}");
            switch.join(&port, &namespace, DEVICE)?;
            switch.ip_batch(&format!(
                "link set {port} master switch0 gso_max_segs 1\nlink set {port} up\n"
            ))?;
            namespace.ip_batch(&format!(
                "link set lo up\n\
                 link set {DEVICE} gso_max_segs 1\n\
                 address add {address}/24 dev {DEVICE}\n\
                 link set {DEVICE} up\n"
            ))?;
            Ok(Host { namespace })
        };
        let edge = host(0, EDGE)?;
        let address = |number| Ipv4Addr::from(EDGE.to_bits() + u32::from(number));
        let viewers = (1..=viewers).map(|number| host(number, address(number)));
        Ok(Self { edge, viewers: viewers.collect::<io::Result<_>>()?, _switch: switch })
    }
}

impl Host {
    /// A command that will run there.
    ///
    /// # Panics
    /// When a descriptor cannot be duplicated.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program).expect("a descriptor")
    }

    /// Runs `work` on a thread there and waits for it.
    ///
    /// # Panics
    /// When no thread can be started inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(work).expect("a thread in the namespace")
    }

    /// Commands of `ip -batch` (ip(8)), one on each line.
    ///
    /// # Panics
    /// When ip(8) does not take one.
    pub fn ip_batch(&self, commands: &str) {
        self.namespace.ip_batch(commands).expect("ip(8) takes them");
    }

    /// What arrives is met by this rule (nft(8)), such as `ip daddr 232.0.0.0/8 drop`, before anything else of the host.
    ///
    /// # Panics
    /// When nft(8) does not take it.
    pub fn filter_incoming(&self, rule: &str) {
        self.filter("prerouting", rule);
    }

    /// What leaves is met by this rule.
    ///
    /// # Panics
    /// When nft(8) does not take it.
    pub fn filter_outgoing(&self, rule: &str) {
        self.filter("output", rule);
    }

    fn filter(&self, hook: &str, rule: &str) {
        let rules = format!(
            "table ip test {{ chain {hook} {{ type filter hook {hook} priority raw; {rule}; }}; }}\n"
        );
        let mut nft = self.command("nft");
        let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft");
        nft.stdin.take().expect("piped").write_all(rules.as_bytes()).expect("nft reads");
        let status = nft.wait().expect("nft ends");
        assert!(status.success(), "nft: {status}: {rules}");
    }
}
