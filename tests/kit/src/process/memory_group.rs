//! Control groups with a limit of memory (cgroups(7), version 2, or 1 where it has the memory controller).

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names for the groups of this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A group that is removed when dropped; no process may be in it any more then.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
    /// The file that tells its highest use.
    peak: &'static str,
}

impl MemoryGroup {
    /// A group whose processes may use `bytes` together, page cache included.
    ///
    /// # Errors
    /// When this system lets us make none.
    pub fn new(bytes: u64) -> io::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("segcast-test-{}-{number}", std::process::id());
        let places = [
            ("/sys/fs/cgroup", "memory.max", "memory.peak"),
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
        ];
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for (root, limit, peak) in places {
            let group = Self { folder: Path::new(root).join(&name), peak };
            match group.limit(limit, bytes) {
                Ok(()) => return Ok(group),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn limit(&self, file: &str, bytes: u64) -> io::Result<()> {
        std::fs::create_dir(&self.folder)?;
        // A folder on another file system takes any file: only a control group has these already.
        let (limit, peak) = (self.folder.join(file), self.folder.join(self.peak));
        for path in [&limit, &peak] {
            std::fs::metadata(path)?;
        }
        std::fs::write(limit, bytes.to_string())
    }

    /// A command that runs `program` in the group from its first instruction on.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        command.arg(self.folder.join("cgroup.procs")).arg(program);
        command
    }

    /// The most that was used at one time, bytes.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn highest(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.folder.join(self.peak))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_dir(&self.folder);
    }
}
