//! Where the demo's viewers are: each in a network namespace of its own, at a switch, or all on the loopback.
//!
//! Made by unshare(1), nsenter(1) and ip(8), as anybody could by hand. Who is not root is root in a user namespace
//! (user_namespaces(7)): the demo starts itself again inside. All of it goes with the last process in it.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

/// Ways into a network namespace in which one may do as one likes: as any user, and as root where that is forbidden.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];
/// The switch in the edge's namespace, and the only device in each viewer's.
const DEVICE: &str = "lan0";
/// The edge's address; viewers have those that follow.
const EDGE: Ipv4Addr = Ipv4Addr::new(10, 83, 0, 1);

/// Starts this program again in namespaces, with the argument `inside`. Comes back only if that cannot be done, and says
/// why.
pub(super) fn enter(inside: &str) -> anyhow::Result<String> {
    let unshare = |way: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(way);
        unshare
    };
    // What will be made there is tried.
    let devices =
        format!("link add {DEVICE} type bridge\nlink add port1 type veth peer name port2\n");
    let mut reason = String::new();
    for way in WAYS {
        let mut attempt = unshare(way);
        attempt.arg("ip");
        if let Err(error) = configure(attempt, &devices) {
            reason = format!("{error:#}");
            continue;
        }
        let program = std::env::current_exe().context("could not find this program's file")?;
        let arguments = std::env::args_os().skip(1);
        let error = unshare(way).arg(program).args(arguments).arg(inside).exec();
        return Err(error).context("could not start again in namespaces");
    }
    Ok(reason)
}

/// A network with an edge and viewers.
pub(super) enum Network {
    /// This process is in the edge's namespace.
    Namespaces(Vec<Place>),
    /// Why there are no namespaces.
    Loopback(String),
}

impl Network {
    /// A switch with a namespace for each of so many viewers.
    pub(super) fn of_namespaces(viewers: u8) -> anyhow::Result<Self> {
        let mut here = format!(
            "link set lo up\n\
             link add {DEVICE} type bridge\n\
             address add {EDGE}/24 dev {DEVICE}\n\
             link set {DEVICE} up\n"
        );
        let places = (0..viewers).map(|_| Place::new()).collect::<anyhow::Result<Vec<_>>>()?;
        for (number, place) in (1..).zip(&places) {
            let (port, id) = (format!("port{number}"), place.holder.id());
            here += &format!(
                "link add {port} type veth peer name {DEVICE} netns {id}\n\
                 link set {port} master {DEVICE}\n\
                 link set {port} up\n"
            );
        }
        configure(Command::new("ip"), &here)?;
        for (number, place) in (1..).zip(&places) {
            let address = Ipv4Addr::from(EDGE.to_bits() + number);
            let there = format!(
                "link set lo up\naddress add {address}/24 dev {DEVICE}\nlink set {DEVICE} up\n"
            );
            configure(place.command("ip"), &there)?;
        }
        Ok(Self::Namespaces(places))
    }

    /// The edge's address.
    pub(super) fn edge(&self) -> IpAddr {
        match self {
            Self::Namespaces(_) => EDGE.into(),
            Self::Loopback(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// The interface for groups, of the edge and of each viewer.
    pub(super) fn interface(&self) -> &'static str {
        match self {
            Self::Namespaces(_) => DEVICE,
            Self::Loopback(_) => "lo",
        }
    }

    /// A command that runs where viewer `number` is, counted from 0.
    pub(super) fn viewer(&self, number: usize, program: PathBuf) -> Command {
        match self {
            Self::Namespaces(places) => places[number].command(program),
            Self::Loopback(_) => Command::new(program),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces(_) => f.write_str(
                "a switch; the edge and each viewer have a network namespace of their own",
            ),
            Self::Loopback(reason) => {
                write!(f, "the loopback, as no namespaces can be made here ({reason})")
            }
        }
    }
}

/// A namespace; it goes with its holder.
pub(super) struct Place {
    holder: Child,
}

impl Place {
    fn new() -> anyhow::Result<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo here; exec cat"])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start unshare")?;
        let said = holder.stdout.take().context("unshare has no output")?;
        let place = Self { holder };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).context("could not wait for a namespace")?;
        if line.is_empty() {
            bail!("no network namespace for a viewer");
        }
        Ok(place)
    }

    fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net"]).arg(program.into());
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Gives `command`, which is ip(8), its `lines`.
fn configure(mut command: Command, lines: &str) -> anyhow::Result<()> {
    let mut ip = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start ip")?;
    if let Some(mut input) = ip.stdin.take() {
        input.write_all(lines.as_bytes()).context("could not tell ip what to do")?;
    }
    let output = ip.wait_with_output().context("could not wait for ip")?;
    if !output.status.success() {
        bail!("ip: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
