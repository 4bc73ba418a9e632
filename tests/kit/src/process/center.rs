//! A serving center in a process of its own.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Running;

/// A serving center, killed when dropped.
#[derive(Debug)]
pub struct Center {
    /// Its process.
    pub child: Running,
    /// Where it serves: `https://…`.
    pub url: String,
    /// Where metrics and health are: `http://…`; empty without.
    pub admin: String,
    /// The first operator's one-time password, at the first start.
    pub password: Option<String>,
    /// What clients take as `--ca`.
    pub ca: PathBuf,
}

impl Center {
    /// Starts a center whose state is in `state` on ports that the system chooses, and waits until it serves. Limits are
    /// wide unless `arguments` say otherwise: tests come from one network and in a hurry.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn start(mut segcast: Command, state: &Path, arguments: &[&str]) -> io::Result<Self> {
        let defaults = [
            ["--listen", "127.0.0.1:0"],
            ["--admin", "127.0.0.1:0"],
            ["--drain-delay", "0s"],
            ["--rate-factor", "1000000"],
            ["--connections-per-network", "512"],
            ["--log-level", "warn"],
        ];
        segcast.arg("center").arg("--state").arg(state);
        let is_given = |flag: &str| arguments.contains(&flag);
        segcast.args(defaults.iter().filter(|[flag, _]| !is_given(flag)).flatten());
        let mut child = Running::start(segcast.args(arguments).stdout(Stdio::piped()))?;
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut center = Self {
            child,
            url: String::new(),
            admin: String::new(),
            password: None,
            ca: state.join("tls.pem"),
        };
        for line in output.lines() {
            let line = line?;
            if let Some(places) = line.strip_prefix("center at ") {
                let mut places = places.split(", health and metrics at ").map(str::to_owned);
                center.url = places.next().unwrap_or_default();
                center.admin = places.next().unwrap_or_default();
            } else if let Some((_, password)) = line.split_once("one-time password ") {
                center.password = Some(password.to_owned());
            } else if line.starts_with("next: ") {
                return Ok(center);
            }
        }
        Err(io::Error::other("the center ended before it served"))
    }
}
