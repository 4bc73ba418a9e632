//! The master key: 32 bytes that wrap every secret in the database, and never lie there.
//!
//! It comes as one line (`segcast-master:` and base64) from a file, a variable of the environment, or the standard
//! output of a program: the hook for any key management.

use core::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use segcast_config::{Field, Problem, Value};
use segcast_keys::file::{self, KeyFileError};
use segcast_keys::keytext::{self, KeyKind, KeyTextError, TEXT_MAX};
use segcast_proto::crypto::hash::sha256;
use zeroize::Zeroizing;

use super::VaultError;
use super::wrap::{ID_LEN, Wrapper};

/// How long a program may take to print the master key.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// A master key.
pub struct Master(Zeroizing<[u8; 32]>);

impl Master {
    /// The master key of these bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Its id, which betrays nothing of it: the first 4 bytes of SHA-256(`segcast v1 master id` ‖ key).
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&sha256(&[b"segcast v1 master id", self.key()])[..ID_LEN]);
        id
    }

    /// Wraps `plain` as the secret of the row `key` of `table`; see [`Vault::wrap`](super::Vault::wrap).
    #[must_use]
    pub fn wrap(&self, table: &str, key: &[u8], plain: &[u8]) -> Vec<u8> {
        self.wrapper().wrap(table, key, plain)
    }

    /// The secret that was wrapped so.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn unwrap(
        &self,
        table: &str,
        key: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.wrapper().unwrap(table, key, wrapped)
    }

    pub(super) fn wrapper(&self) -> Wrapper {
        Wrapper::new(self.id(), self.key())
    }

    fn key(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master").finish_non_exhaustive()
    }
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// Its file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Its variable.
    #[error("the environment has no variable {0}, which master_key names")]
    NoVariable(String),
    /// What the variable or the program says.
    #[error("the master key of {from}: {source}")]
    Text {
        /// Variable or program.
        from: String,
        /// What is wrong with it.
        source: KeyTextError,
    },
    /// The program.
    #[error("{program}, which master_key names: {reason}")]
    Command {
        /// The program.
        program: String,
        /// Why it gave no key.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Where the master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterSource {
    /// A file; a relative path begins at the state folder. It is made at the first start.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A program with its arguments; no shell reads them.
    Command(Vec<String>),
}

impl MasterSource {
    /// Reads the key; a file that is missing is made when `make` says so. Whether it was.
    ///
    /// # Errors
    /// [`MasterError`].
    pub fn obtain(&self, state: &Path, make: bool) -> Result<(Master, bool), MasterError> {
        let text = match self {
            Self::File(path) => return read_file(&state.join(path), make),
            Self::Environment(name) => {
                let value = std::env::var(name).map(Zeroizing::new);
                value.map_err(|_| MasterError::NoVariable(name.clone()))?
            }
            Self::Command(words) => run(words)?,
        };
        let key = keytext::parse(KeyKind::Master, &text);
        let from = || match self {
            Self::Command(words) => words[0].clone(),
            _ => self.show(),
        };
        let key = key.map_err(|source| MasterError::Text { from: from(), source })?;
        Ok((Master(key), false))
    }
}

fn read_file(path: &Path, make: bool) -> Result<(Master, bool), MasterError> {
    match file::read(path, KeyKind::Master) {
        Ok(key) => Ok((Master(key), false)),
        Err(error) if make && error.is_not_found() => {
            let mut key = Zeroizing::new([0; 32]);
            getrandom::fill(key.as_mut_slice()).map_err(MasterError::Random)?;
            file::create(path, KeyKind::Master, key.as_slice())?;
            Ok((Master(key), true))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the program prints, one line.
fn run(words: &[String]) -> Result<Zeroizing<String>, MasterError> {
    let program = words[0].clone();
    let failed = |reason: String| MasterError::Command { program: program.clone(), reason };
    let child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| failed(format!("cannot be started: {error}")))?;
    let output = child.stdout.take().expect("it is piped");
    let text = first_bytes(output);
    if text.is_none() {
        let _ = child.kill();
    }
    let status =
        wait(&mut child).map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    let text =
        text.ok_or_else(|| failed("said nothing for 10 s, or what is no text".to_owned()))?;
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    Ok(text)
}

/// The output up to a length that no key has; none after ten seconds. The thread ends with the program.
fn first_bytes(output: ChildStdout) -> Option<Zeroizing<String>> {
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX + 1));
        let read = output.take(TEXT_MAX as u64 + 1).read_to_string(&mut text);
        // Nobody waits any more: the program was too slow.
        let _ = said.send(read.is_ok().then_some(text));
    });
    heard.recv_timeout(COMMAND_TIME).ok().flatten()
}

/// Waits for a program whose output has ended; one that then goes on for a second is ended.
fn wait(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    for _ in 0..100 {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()
}

impl Field for MasterSource {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("the master key's place", "file:master.key")?;
        let right = || {
            Problem::new(
                "\"file:PATH\", \"env:NAME\" or \"command:PROGRAM ARGUMENTS\" is expected, never the key itself",
            )
        };
        let (kind, rest) = text.split_once(':').ok_or_else(right)?;
        let words: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
        match kind {
            "file" if !rest.is_empty() => Ok(Self::File(rest.into())),
            "env" if words.len() == 1 => Ok(Self::Environment(rest.to_owned())),
            "command" if !words.is_empty() => Ok(Self::Command(words)),
            _ => Err(right()),
        }
    }

    fn show(&self) -> String {
        let text = match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Environment(name) => format!("env:{name}"),
            Self::Command(words) => format!("command:{}", words.join(" ")),
        };
        PathBuf::from(text).show()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<MasterSource, Problem> {
        <MasterSource as Field>::read(&Value::Text(text.to_owned()))
    }

    #[test]
    fn a_file_is_made_once_and_read_again() {
        let state = tempfile::tempdir().unwrap();
        let source = source("file:master.key").unwrap();
        assert!(source.obtain(state.path(), false).is_err());
        let (made, is_new) = source.obtain(state.path(), true).unwrap();
        let (read, is_new_again) = source.obtain(state.path(), true).unwrap();
        assert_eq!((is_new, is_new_again), (true, false));
        assert_eq!((made.id(), made.key()), (read.id(), read.key()));
    }

    #[test]
    fn a_program_gives_the_key_or_says_why_not() {
        let line = keytext::format(KeyKind::Master, &[7; 32]);
        let read = |text: &str| source(text).unwrap().obtain(Path::new("/"), true);
        let (master, _) = read(&format!("command:echo {}", line.trim())).unwrap();
        assert_eq!(master.key(), [7; 32]);
        for (text, right) in [
            ("command:echo segcast-title:AAAA", "must be a `segcast-master` key"),
            ("command:false", "ended with exit status: 1"),
            ("command:/nonexistent/program", "cannot be started"),
            ("command:cat /dev/urandom", "no text"),
            ("env:SEGCAST_NO_SUCH_VARIABLE", "SEGCAST_NO_SUCH_VARIABLE"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(right), "{error}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_is_shown_and_a_key_is_no_place() {
        for text in ["file:master.key", "env:MASTER", "command:kms get master"] {
            assert_eq!(source(text).unwrap().show(), format!("{text:?}"));
        }
        for text in ["master.key", "file:", "env:", "command: ", "segcast-master:AAAA"] {
            assert!(
                source(text).unwrap_err().to_string().contains("never the key itself"),
                "{text}"
            );
        }
    }
}
