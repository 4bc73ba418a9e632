//! The process of an edge: configuration, start, signals, end.

use std::sync::Arc;

use segcast_config::{ExitCode, Source};
use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM};
use signal_hook::iterator::Signals;

use super::{Handle, Server, StartError, Supervisor};
use crate::guard;

/// The signal that reads the configuration again.
pub(super) const RELOAD: i32 = SIGHUP;

/// Signals that mean nothing to an edge, and would kill it without a word.
const IGNORED: [i32; 5] = [SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF];

/// Runs an edge until it has drained or failed. SIGHUP reloads; SIGTERM and SIGINT drain, a second one stops at
/// once; others that would kill are logged and ignored. Errors are logged.
pub fn run(source: &Source, supervisor: &dyn Supervisor) -> ExitCode {
    // Before anything is started, so that no signal finds the default action.
    let signals = match Signals::new([RELOAD, SIGTERM, SIGINT].iter().chain(&IGNORED)) {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be handled");
            return ExitCode::Failure;
        }
    };
    let started = source.load().map_err(StartError::from).and_then(Server::start);
    let server = match started {
        Ok(server) => server,
        Err(error) => {
            tracing::error!(%error, "the edge does not start");
            return error.exit();
        }
    };
    let closer = signals.handle();
    let handle = server.handle();
    let (board, reports) = (Arc::clone(&server.board), server.sender.clone());
    let listener = guard::spawn("segcast-signals", board, reports, move || {
        listen(signals, &handle);
        None
    });
    if let Err(error) = listener {
        tracing::error!(%error, "signals cannot be handled");
        return ExitCode::Failure;
    }
    supervisor.ready(&server);
    let exit = server.serve(supervisor, Some(source));
    closer.close();
    exit
}

fn listen(mut signals: Signals, handle: &Handle) {
    for signal in signals.forever() {
        if IGNORED.contains(&signal) {
            tracing::warn!(signal, "a signal that means nothing here: ignored");
        } else if !handle.signal(signal) {
            return;
        }
    }
}
