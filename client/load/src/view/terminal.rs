//! Taking a terminal and giving it back: at the end, by Ctrl-C, and after a panic.

use std::io::{self, stderr};
use std::sync::{Mutex, Once, PoisonError};

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// How the terminal was, while it is taken.
static TAKEN: Mutex<Option<Termios>> = Mutex::new(None);

/// Turns to the alternate screen and typed characters off. Ctrl-C still gives a signal: this is not raw mode.
pub(super) fn take() -> io::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore_terminal();
            before(panic);
        }));
    });
    let was = tcgetattr(stderr())?;
    let mut quiet = was.clone();
    quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
    tcsetattr(stderr(), OptionalActions::Now, &quiet)?;
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(was);
    execute!(stderr(), EnterAlternateScreen, Hide)
}

/// Gives the terminal back if it was taken: for the end of a view, and for a program that ends without it.
pub fn restore_terminal() {
    let was = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(was) = was {
        // Nothing else can be done about a terminal that is gone. What was typed meanwhile is dropped.
        let _ = execute!(stderr(), Show, LeaveAlternateScreen);
        let _ = tcsetattr(stderr(), OptionalActions::Flush, &was);
    }
}
