//! How far a long command is: a bar on a terminal, a line a second elsewhere; on standard error, so that
//! standard output holds results only.

use std::env;
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use segcast_config::amount::rounded;

use crate::output;

const LINE_EVERY: Duration = Duration::from_secs(1);

/// Whether standard error is a terminal that draws where it is told to.
fn obeys() -> bool {
    std::io::stderr().is_terminal() && !is_dumb(env::var_os("TERM").as_deref())
}

/// Whether standard error may have colours.
pub(crate) fn has_colours() -> bool {
    obeys() && wants_colours(env::var_os("NO_COLOR").as_deref())
}

/// What says so of itself: a terminal without cursor and colours (terminfo(5)).
fn is_dumb(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term == "dumb")
}

/// `NO_COLOR`, set to anything, asks for none (no-color.org).
fn wants_colours(no_color: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty)
}

/// Shows how many of how many bytes are done.
pub(crate) enum Meter {
    /// A terminal.
    Bar(ProgressBar),
    /// A file or a pipe.
    Lines { what: String, last: Instant, last_bytes: u64 },
    /// Nobody wants to know.
    Quiet,
}

impl Meter {
    /// `what`: the word before the figures.
    pub(crate) fn new(what: &str, quiet: bool) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !obeys() {
            return Self::Lines { what: what.into(), last: Instant::now(), last_bytes: 0 };
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let template =
            "{prefix} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_owned());
        Self::Bar(bar)
    }

    /// `done` of `total` bytes; `note` is anything worth adding.
    pub(crate) fn show(&mut self, done: u64, total: u64, note: &str) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(note.to_owned());
            }
            Self::Lines { what, last, last_bytes } => {
                let elapsed = last.elapsed();
                if elapsed < LINE_EVERY {
                    return;
                }
                let rate = done.saturating_sub(*last_bytes) as f64 / elapsed.as_secs_f64();
                let percent = if total == 0 { 0.0 } else { done as f64 * 100.0 / total as f64 };
                output::note(format_args!(
                    "{what} {} of {} ({percent:.0} %), {} {note}",
                    rounded::size(done),
                    rounded::size(total),
                    rounded::bit_rate(rate * 8.0)
                ));
                (*last, *last_bytes) = (Instant::now(), done);
            }
            Self::Quiet => {}
        }
    }

    /// Takes the bar away: what follows is printed in its place.
    pub(crate) fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_bars_are_left_out_where_they_are_not_wanted() {
        assert!(is_dumb(Some("dumb".as_ref())));
        assert!(!is_dumb(Some("xterm-256color".as_ref())) && !is_dumb(None));
        assert!(wants_colours(None) && wants_colours(Some("".as_ref())));
        assert!(!wants_colours(Some("1".as_ref())) && !wants_colours(Some("0".as_ref())));
    }
}
