//! Secrets: fresh keys from the system, and passwords from people.

use std::env;
use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use segcast_api::text::Secret;
use segcast_proto::handshake::StaticSecret;
use zeroize::Zeroizing;

use crate::output;

/// A secret key from the system's randomness.
pub(crate) fn fresh_key() -> anyhow::Result<StaticSecret> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice())
        .map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
    Ok(StaticSecret::new(*secret))
}

/// A password: from the environment, else asked for on the terminal and not shown, else the next line of standard input.
pub(crate) fn password(variable: &str, question: &str) -> anyhow::Result<Secret> {
    if let Ok(password) = env::var(variable) {
        return Ok(Secret::new(password));
    }
    let stdin = io::stdin();
    let hidden = if stdin.is_terminal() {
        output::question(question);
        Some(Hidden::begin().context("could not hide what is typed")?)
    } else {
        None
    };
    // Room for the longest, so that no copy is left behind where the text grew.
    let mut line = Zeroizing::new(String::with_capacity(Secret::MAX + 2));
    stdin.lock().read_line(&mut line).context("could not read the password")?;
    if hidden.is_some() {
        output::note("");
    }
    let text = line.trim_end_matches(['\n', '\r']);
    anyhow::ensure!(!text.is_empty(), "no password: give it on standard input or in {variable}");
    Ok(Secret::new(text.to_owned()))
}

/// Whether somebody says yes; none: nobody can be asked.
pub(crate) fn confirmed(question: &str) -> Option<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    output::question(&format!("{question} [y/N] "));
    let mut line = String::new();
    stdin.lock().read_line(&mut line).ok()?;
    Some(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// While it lives, the terminal does not show what is typed (termios(3), ECHO).
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell when the terminal has gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
