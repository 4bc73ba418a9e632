//! Looking at a run while it goes on: a screen on a terminal, a line per second elsewhere.
//!
//! Views see snapshots that the collector made. They live on a thread of their own behind a short queue: a terminal that
//! stands still (Ctrl-S, a slow pipe) costs seconds that are not shown, never one that is not measured.

mod lines;
mod screen;
mod snapshot;
mod terminal;

use std::io::{self, IsTerminal, stderr};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub use lines::{JsonLines, PlainLines};
pub use screen::Screen;
pub use snapshot::{Snapshot, Times};
pub use terminal::restore_terminal;

/// Snapshots that may wait to be shown.
const QUEUE: usize = 4;

/// Shows snapshots.
pub trait View: Send {
    /// Shows the latest second.
    ///
    /// # Errors
    /// When nothing can be shown any more.
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<()>;
}

/// How a run is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A screen on a terminal, lines elsewhere.
    Auto,
    /// A screen.
    Tui,
    /// A line per second.
    Plain,
    /// A JSON object per second and line.
    Json,
    /// Nothing.
    None,
}

/// Why a run cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A screen without a terminal.
    #[error(
        "--progress tui: standard error is no terminal, or a dumb one; --progress plain needs none"
    )]
    NoTerminal,
    /// The terminal cannot be set, or there is no thread.
    #[error("the terminal: {0}")]
    System(#[from] io::Error),
}

/// A view on a thread of its own; or none.
#[derive(Debug, Default)]
pub struct Display(Option<Shown>);

#[derive(Debug)]
struct Shown {
    queue: SyncSender<Snapshot>,
    thread: JoinHandle<()>,
    skipped: u64,
}

impl Display {
    /// Shows on standard error, as `progress` says.
    ///
    /// # Errors
    /// When there is no terminal for a screen, or no thread.
    pub fn start(progress: Progress) -> Result<Self, ViewError> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = stderr().is_terminal() && !is_dumb;
        let view: Box<dyn View> = match progress {
            Progress::None => return Ok(Self(None)),
            Progress::Json => Box::new(JsonLines::new(stderr())),
            Progress::Auto | Progress::Tui if is_terminal => Box::new(Screen::open()?),
            Progress::Tui => return Err(ViewError::NoTerminal),
            Progress::Auto | Progress::Plain => Box::new(PlainLines::new(stderr())),
        };
        Ok(Self::with(view)?)
    }

    /// Shows on `view`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn with(mut view: Box<dyn View>) -> io::Result<Self> {
        let (queue, snapshots) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("segcast-view".into()).spawn(move || {
            for snapshot in snapshots {
                if view.show(&snapshot).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self(Some(Shown { queue, thread, skipped: 0 })))
    }

    /// Shows `snapshot` when there is room for it.
    pub fn show(&mut self, snapshot: Snapshot) {
        if let Some(shown) = &mut self.0
            && let Err(TrySendError::Full(_)) = shown.queue.try_send(snapshot)
        {
            shown.skipped += 1;
        }
    }

    /// Waits until all is shown and gives the terminal back; gives the seconds for which there was no room.
    pub fn end(&mut self) -> u64 {
        let Some(shown) = self.0.take() else { return 0 };
        drop(shown.queue);
        // A view that panicked has shown its last; the terminal was given back by the hook.
        let _ = shown.thread.join();
        shown.skipped
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use ratatui::backend::TestBackend;

    use super::*;
    use crate::example;
    use crate::recorder::Recorder;
    use crate::result::{Clock, End, Extent, LoadResult};

    /// The example run through a recorder with this view.
    fn run(display: Display) -> LoadResult {
        let clock = Clock {
            source: None,
            resolution_ns: 1,
            read_cost_ns: 1.0,
            least_step_ns: 1,
            backward_steps: 0,
            readings: 1,
        };
        let mut recorder = Recorder::new(example::collector(), clock, display);
        example::intervals(4).iter().for_each(|interval| recorder.add(interval));
        let end = End { wall: example::about().requested(), extent: Extent::Complete };
        let slos = ["ttfb.p99<=20ms".parse().expect("an objective")];
        let (result, logged) = recorder.finish(&end, &slos);
        logged.expect("there is no log");
        result
    }

    #[test]
    fn figures_are_the_same_with_and_without_a_view() {
        let bare = run(Display::default());
        assert_eq!(bare.figures.whatever_they_are_worth().seconds.len(), 28);
        let screen = Screen::on(TestBackend::new(80, 24)).expect("it cannot fail");
        let views: [Box<dyn View>; 3] = [
            Box::new(PlainLines::new(Vec::new())),
            Box::new(JsonLines::new(Vec::new())),
            Box::new(screen),
        ];
        for view in views {
            assert_eq!(run(Display::with(view).expect("a thread")), bare);
        }
    }

    /// Shows nothing until it is told to go on.
    struct Stuck(Receiver<()>);

    impl View for Stuck {
        fn show(&mut self, _: &Snapshot) -> io::Result<()> {
            // Goes on as well when nobody holds it any more.
            let _ = self.0.recv();
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_stands_still_holds_nothing_up() {
        let (go, wait) = channel();
        let mut display = Display::with(Box::new(Stuck(wait))).expect("a thread");
        let snapshots = example::snapshots();
        let all = snapshots.len() as u64;
        snapshots.into_iter().for_each(|snapshot| display.show(snapshot));
        drop(go);
        let skipped = display.end();
        assert!((all - QUEUE as u64 - 1..all).contains(&skipped), "{skipped} of {all}");
    }
}
