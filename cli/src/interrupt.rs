//! Ctrl-C and SIGTERM: the first asks the command to end cleanly, a second one ends it at once.

use crate::exit_code::ExitCode;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Set by a signal, looked at by whatever runs.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM.
    pub(crate) fn install() -> io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let this =
            Self { stop: Arc::new(AtomicBool::new(false)), signal: Arc::new(AtomicUsize::new(0)) };
        for (signal, code) in [(SIGINT, ExitCode::Interrupted), (SIGTERM, ExitCode::Terminated)] {
            // Order matters: the second signal finds the flag set and ends the process.
            let status = i32::from(code as u8);
            signal_hook::flag::register_conditional_shutdown(signal, status, this.stop.clone())?;
            signal_hook::flag::register(signal, this.stop.clone())?;
            signal_hook::flag::register_usize(signal, this.signal.clone(), signal as usize)?;
        }
        Ok(this)
    }

    /// The flag, for libraries that take one.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The exit code of a command that a signal ended.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let term = signal_hook::consts::SIGTERM as usize;
        if self.signal.load(Ordering::Relaxed) == term {
            ExitCode::Terminated
        } else {
            ExitCode::Interrupted
        }
    }
}
