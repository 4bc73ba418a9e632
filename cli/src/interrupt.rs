//! Ctrl-C, SIGTERM and a terminal that goes away (SIGHUP): the first asks the command to end cleanly; one that comes when that takes too long
//! ends it at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use segcast_config::ExitCode;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Signals this soon after the first mean the same one: terminals, shells and timeout(1) may send several.
const SAME: Duration = Duration::from_secs(2);

/// Set by a signal, looked at by whatever runs.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    stop: Arc<AtomicBool>,
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM, and SIGHUP as if it were SIGTERM.
    pub(crate) fn install() -> io::Result<Self> {
        let this =
            Self { stop: Arc::new(AtomicBool::new(false)), signal: Arc::new(AtomicI32::new(0)) };
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let listener = this.clone();
        std::thread::Builder::new()
            .name("segcast-signals".into())
            .spawn(move || listener.listen(signals))?;
        Ok(this)
    }

    fn listen(&self, mut signals: Signals) {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => {
                    first = Some(Instant::now());
                    self.signal.store(signal, Ordering::Relaxed);
                    self.stop.store(true, Ordering::Release);
                }
                Some(first) if first.elapsed() < SAME => {}
                Some(_) => {
                    segcast_load::view::restore_terminal();
                    std::process::exit(self.exit_code() as i32);
                }
            }
        }
    }

    /// The flag, for libraries that take one.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The exit code of a command that a signal ended.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.signal.load(Ordering::Relaxed) {
            SIGTERM | SIGHUP => ExitCode::Terminated,
            _ => ExitCode::Interrupted,
        }
    }
}
