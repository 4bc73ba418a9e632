//! A PostgreSQL of Debian's packages, in a temporary folder and on a Unix socket there: no port, no password, nothing of
//! it outlives the test. It does not run as root, so root becomes its user `postgres` by setpriv(1).

use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{kill, output, succeed, wait_until};

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    binaries: PathBuf,
    child: Child,
}

impl Postgres {
    /// Makes a cluster and starts its server. It does not wait for the disk: what tests kill are processes, and what
    /// these have written is in the kernel's hands.
    ///
    /// # Panics
    /// When it cannot be made; [`missing`] says so before.
    #[must_use]
    pub fn start() -> Self {
        let binaries = binaries().expect("PostgreSQL, which the test needs");
        let folder = tempfile::Builder::new().prefix("segcast-pg").tempdir().expect("a folder");
        if let Some(user) = other_user().expect("a user for it") {
            chown(folder.path(), Some(user), None).expect("its folder");
        }
        let mut initdb = command(&binaries.join("initdb"));
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=segcast",
            "--encoding=UTF8",
            "--locale=C",
        ]);
        succeed(initdb.arg("--pgdata").arg(folder.path().join("data")));
        let child = serve(&binaries, folder.path());
        let server = Self { folder, binaries, child };
        wait_until("PostgreSQL", || server.answers());
        server
    }

    /// Makes a database; its URL.
    ///
    /// # Panics
    /// When there is one of this name.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        succeed(self.psql("postgres").args(["-qc", &format!("CREATE DATABASE {name}")]));
        format!("postgres://segcast@localhost/{name}?host={}", self.folder.path().display())
    }

    /// Kills the server, whose other processes then end by themselves, and starts it again: it recovers from its log.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn crash(&mut self) {
        kill(&mut self.child);
        wait_until("PostgreSQL to start again", || {
            // One that starts before the last process of the other has gone refuses, and ends.
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                self.child = serve(&self.binaries, self.folder.path());
            }
            self.answers()
        });
    }

    fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-U", "segcast", "-d", database, "-h"]).arg(self.folder.path());
        psql
    }

    fn answers(&self) -> bool {
        output(self.psql("postgres").args(["-qtAc", "SELECT 1"])).status.success()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

/// What of PostgreSQL is missing here, if anything is.
///
/// # Errors
/// When its programs are not installed, or root cannot become its user.
pub fn missing() -> Result<(), String> {
    let binaries = binaries().ok_or("PostgreSQL (/usr/lib/postgresql: no initdb)")?;
    other_user()?;
    let tried = command(&binaries.join("postgres")).arg("--version").output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("PostgreSQL as its own user ({})", said.trim()))
        }
        Err(error) => Err(format!("PostgreSQL as its own user ({error})")),
    }
}

/// Where Debian puts the programs of the newest version.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let paths = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let newest =
        paths.filter(|path| path.join("bin/initdb").exists()).max_by_key(|path| version(path))?;
    Some(newest.join("bin"))
}

/// The user that root becomes; none for who is not root.
fn other_user() -> Result<Option<u32>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let output = Command::new("id").args(["-u", "postgres"]).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let user = said.ok().and_then(|text| text.parse().ok());
    user.map(Some).ok_or_else(|| "a user postgres, which root becomes".to_owned())
}

/// One of its programs, as a user that it accepts.
fn command(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=postgres", "--clear-groups", "--"]).arg(program);
    // Its own folder may be one that the user cannot enter.
    setpriv.current_dir("/");
    setpriv
}

fn serve(binaries: &Path, folder: &Path) -> Child {
    let mut postgres = command(&binaries.join("postgres"));
    postgres.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    postgres.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=64"]);
    let started: io::Result<Child> =
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.expect("PostgreSQL starts")
}
