//! A running server's own thread: reports of shards, signals, reloads, and the end.

use std::time::{Duration, Instant};

use segcast_config::amount::show_duration;
use segcast_config::{ExitCode, Source};

use super::{Alone, Server, StartError, Supervisor, run};
use crate::limits;
use crate::mailbox::{Control, Report};

impl Server {
    /// Serves until a drain has ended or something has failed, then stops everything.
    pub fn join(self) -> ExitCode {
        self.serve(&Alone, None)
    }

    /// [`Server::join`] with somebody to tell, and signals that mean something.
    pub(super) fn serve(
        mut self,
        supervisor: &dyn Supervisor,
        source: Option<&Source>,
    ) -> ExitCode {
        let mut drained = 0;
        let mut end: Option<Instant> = None;
        let mut cut = false;
        let exit = loop {
            match self.next_report(end) {
                Ok(Report::Drained) => {
                    drained += 1;
                    if drained == self.shards.len() {
                        tracing::info!("drained");
                        break ExitCode::Success;
                    }
                }
                Ok(Report::Ended { thread, failure }) => {
                    tracing::error!(thread, reason = failure.as_deref(), "a thread has ended");
                    break ExitCode::Failure;
                }
                Ok(Report::Signal(signal)) if signal == run::RELOAD => {
                    if let Some(source) = source {
                        self.reload_from(source, supervisor);
                    }
                }
                Ok(Report::Signal(_)) if end.is_some() => {
                    tracing::warn!("a second signal: stopping at once");
                    break ExitCode::Failure;
                }
                Ok(Report::Signal(_) | Report::DrainWanted) => {
                    if end.is_none() {
                        end = Some(self.begin_drain(supervisor));
                    }
                }
                Ok(Report::Store(catalogue)) => self.show(catalogue),
                Ok(Report::Serving) => {}
                Err(()) if !cut => {
                    tracing::warn!("drain_timeout is over: the sessions that are left are closed");
                    self.tell(Control::Cut);
                    cut = true;
                    end = Some(Instant::now() + limits::CUT_TIMEOUT);
                }
                Err(()) => {
                    tracing::error!("the sessions that are left cannot be closed");
                    break ExitCode::Failure;
                }
            }
        };
        self.stop();
        exit
    }

    /// The next report; an error when `end` has come.
    fn next_report(&self, end: Option<Instant>) -> Result<Report, ()> {
        let Some(end) = end else { return self.reports.recv().map_err(|_| ()) };
        self.reports.recv_deadline(end).map_err(|_| ())
    }

    fn begin_drain(&self, supervisor: &dyn Supervisor) -> Instant {
        let timeout: Duration = self.config.drain_timeout;
        tracing::info!(timeout = show_duration(timeout), "draining");
        supervisor.stopping(timeout + limits::CUT_TIMEOUT);
        self.board.set_draining();
        self.tell(Control::Drain);
        Instant::now() + timeout
    }

    fn reload_from(&mut self, source: &Source, supervisor: &dyn Supervisor) {
        supervisor.reloading();
        let loaded = source.load().map_err(StartError::from);
        let reloaded = loaded.and_then(|new| Ok((self.reload(&new)?, new.log_level)));
        match reloaded {
            Ok((restart, level)) => {
                supervisor.log_level(level);
                tracing::info!("reloaded");
                supervisor.status("reloaded");
                if !restart.is_empty() {
                    tracing::warn!(keys = ?restart, "these keys have changed and need a restart");
                }
            }
            Err(error) => {
                tracing::error!(%error, "not reloaded: the old configuration stays");
                self.board.count_failed_reload();
                supervisor.status(&format!("not reloaded, the old configuration stays: {error}"));
            }
        }
        supervisor.ready(self);
    }

    pub(super) fn tell(&self, control: Control) {
        for (shard, mailbox) in self.mailboxes.iter().enumerate() {
            if !mailbox.post_control(control) {
                tracing::error!(shard, "a shard does not take orders any more");
            }
        }
    }

    /// Stops every shard, all at once: a socket of a group is never closed alone.
    pub(super) fn stop(&mut self) {
        if self.shards.is_empty() {
            return;
        }
        self.watch = None;
        self.tell(Control::Stop);
        for shard in self.shards.drain(..) {
            // Its failure was reported already.
            let _ = shard.join();
        }
        self.side.stop();
        self.dry_run = None;
    }
}
