//! The screen: how far, how much, how fast, what became of it, and how the generator fares.

use std::collections::VecDeque;
use std::io::{self, Stderr, stderr};

use ratatui::Frame;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Gauge, Row, Sparkline, Table};
use segcast_config::amount::rounded::{bit_rate, micros};

use super::terminal::{restore_terminal, take};
use super::{Snapshot, Times, View};
use crate::result::generator::CPU_SHARE_MAX;
use crate::words::{count, share};

/// Seconds of history that are kept: the widest terminal shows no more.
const HISTORY: usize = 512;

const GOOD: Color = Color::Green;
const BAD: Color = Color::Red;
const MARK: Color = Color::Cyan;

/// Draws snapshots on a terminal.
pub struct Screen<B: Backend> {
    terminal: ratatui::Terminal<B>,
    complete: VecDeque<u64>,
    slowest: VecDeque<u64>,
    /// The terminal was taken and has to be given back.
    taken: bool,
}

impl Screen<CrosstermBackend<Stderr>> {
    /// Takes the terminal at standard error.
    ///
    /// # Errors
    /// When it is none.
    pub fn open() -> io::Result<Self> {
        take()?;
        let mut screen = Self::on(CrosstermBackend::new(stderr())).inspect_err(|_| {
            restore_terminal();
        })?;
        screen.taken = true;
        Ok(screen)
    }
}

impl<B: Backend> Screen<B> {
    /// Draws on `backend`.
    ///
    /// # Errors
    /// Those of the backend.
    pub fn on(backend: B) -> Result<Self, B::Error> {
        let terminal = ratatui::Terminal::new(backend)?;
        Ok(Self { terminal, complete: VecDeque::new(), slowest: VecDeque::new(), taken: false })
    }
}

impl<B: Backend> Drop for Screen<B> {
    fn drop(&mut self) {
        if self.taken {
            restore_terminal();
        }
    }
}

impl<B: Backend + Send> View for Screen<B>
where
    B::Error: Send + Sync + 'static,
{
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        keep(&mut self.complete, snapshot.second.complete);
        keep(&mut self.slowest, snapshot.ttlb.max_us.unwrap_or(0));
        let (complete, slowest) = (&self.complete, &self.slowest);
        let drawn = self.terminal.draw(|frame| draw(frame, snapshot, complete, slowest));
        drawn.map(|_| ()).map_err(io::Error::other)
    }
}

fn keep(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

fn draw(frame: &mut Frame<'_>, s: &Snapshot, complete: &VecDeque<u64>, slowest: &VecDeque<u64>) {
    let rows = [Constraint::Length(3), Constraint::Length(8), Constraint::Min(5)];
    let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
    progress(frame, top, s);
    let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [left, right] = Layout::horizontal(halves).areas(middle);
    rates(frame, left, s);
    times(frame, right, s);
    let [left, right] = Layout::horizontal(halves).areas(bottom);
    ledger(frame, left, s);
    let [health_area, first, second] =
        Layout::vertical([Constraint::Length(5), Constraint::Fill(1), Constraint::Fill(1)])
            .areas(right);
    health(frame, health_area, s);
    sparkline(frame, first, "complete per second", complete, GOOD);
    sparkline(frame, second, "slowest segment", slowest, MARK);
}

fn block(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().add_modifier(Modifier::DIM))
        .title(Span::from(format!(" {title} ")).bold())
}

fn progress(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let phase = if s.draining { "waiting for the last segments" } else { &s.phase };
    let title = format!("segcast load · {phase} · phase {} of {}", s.phase_number, s.phases);
    let over = f64::from(s.second.second + 1).min(s.requested_s);
    let ratio = if s.requested_s > 0.0 { over / s.requested_s } else { 1.0 };
    let gauge = Gauge::default()
        .block(block(&title))
        .gauge_style(MARK)
        .ratio(ratio.clamp(0.0, 1.0))
        .label(format!("{over:.0} of {:.0} s", s.requested_s));
    frame.render_widget(gauge, area);
}

fn rates(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let second = &s.second;
    let rows = [
        ("intended", format!("{}/s", count(second.intended))),
        ("offered", format!("{}/s", count(second.offered))),
        ("complete", format!("{}/s", count(second.complete))),
        ("goodput", bit_rate(second.data_bytes as f64 * 8.0)),
        ("sessions", count(second.sessions_open)),
        ("stalls so far", count(s.stalls)),
    ];
    pairs(frame, area, "last second", rows.map(|(name, value)| (name, value, None)));
}

fn pairs<const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    rows: [(&str, String, Option<Color>); N],
) {
    let rows = rows.map(|(name, value, color)| {
        let value = Line::from(value).right_aligned();
        Row::new([Line::from(name.to_owned()), value.fg(color.unwrap_or(Color::Reset))])
    });
    let widths = [Constraint::Fill(1), Constraint::Fill(1)];
    frame.render_widget(Table::new(rows, widths).block(block(title)), area);
}

fn times(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let shown = |us: Option<u64>| us.map_or("–".to_owned(), |us| micros(us as f64));
    let row = |name: &str, times: &Times| {
        let cells = [times.p50_us, times.p99_us, times.max_us].map(shown);
        let cells = cells.map(|text| Line::from(text).right_aligned());
        let [p50, p99, max] = cells;
        Row::new([Line::from(name.to_owned()), p50, p99, max])
    };
    let header = ["", "p50", "p99", "max"].map(|name| Line::from(name).right_aligned());
    let rows = [row("first byte", &s.ttfb), row("last byte", &s.ttlb), row("send lag", &s.lag)];
    let table = Table::new(rows, [Constraint::Fill(1); 4])
        .header(Row::new(header).add_modifier(Modifier::DIM))
        .block(block("times, from the intended sending"));
    frame.render_widget(table, area);
}

fn ledger(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let intended = s.ledger.intended.max(1) as f64;
    let mut rows = vec![line("intended", s.ledger.intended, 1.0, Color::Reset)];
    for (what, cause, number) in s.ledger.rows() {
        let color = if what == "complete" { GOOD } else { BAD };
        rows.push(line(&cause.unwrap_or(what.to_owned()), number, number as f64 / intended, color));
    }
    let under_way = s.ledger.remainder;
    let share = under_way as f64 / intended;
    rows.push(line("under way", under_way.unsigned_abs(), share, Color::Reset));
    let widths = [Constraint::Fill(2), Constraint::Fill(1), Constraint::Length(9)];
    frame.render_widget(Table::new(rows, widths).block(block("ledger so far")), area);
}

fn line(name: &str, number: u64, part: f64, color: Color) -> Row<'static> {
    let cells = [count(number), share(part)].map(|text| Line::from(text).right_aligned());
    let [number, part] = cells;
    Row::new([Line::from(name.to_owned()), number.fg(color), part])
}

fn health(frame: &mut Frame<'_>, area: Rect, s: &Snapshot) {
    let thread = s.second.busiest_thread;
    let color = |bad: bool| Some(if bad { BAD } else { GOOD });
    let rows = [
        (
            "busiest thread",
            thread.map_or("–".into(), share),
            color(thread.is_some_and(|share| share > CPU_SHARE_MAX)),
        ),
        ("dropped unread", count(s.overflow_datagrams), color(s.overflow_datagrams > 0)),
        ("longest lag", s.second.lag_max_us.map_or("–".into(), |us| micros(us as f64)), None),
    ];
    pairs(frame, area, "the generator itself", rows);
}

fn sparkline(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    history: &VecDeque<u64>,
    color: Color,
) {
    let block = block(title);
    let width = usize::from(block.inner(area).width);
    let data: Vec<u64> =
        history.iter().skip(history.len().saturating_sub(width)).copied().collect();
    frame.render_widget(Sparkline::default().block(block).data(data).style(color), area);
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::example;

    /// The screen of this size after so many intervals of the example.
    fn screen(width: u16, height: u16, intervals: usize) -> String {
        let mut screen = Screen::on(TestBackend::new(width, height)).expect("it cannot fail");
        let mut collector = example::collector();
        for interval in example::intervals(4).iter().take(intervals) {
            collector.add(interval);
            while let Some(second) = collector.next_closed() {
                let snapshot = Snapshot::new(&collector, &second);
                screen.show(&snapshot).expect("it cannot fail");
                collector.recycle(second);
            }
        }
        screen.terminal.backend().to_string()
    }

    #[test]
    fn the_screen_has_all_that_matters() {
        let screen = screen(100, 30, 40);
        for part in [
            "overload · phase 3 of 4",
            "19 of 27 s",
            "2\u{202f}200/s",
            "Gbit/s",
            "first byte",
            "send lag",
            "TOO_MANY_REQUESTS",
            "its session was full",
            "under way",
            "40.0 %",
            "complete per second",
        ] {
            assert!(screen.contains(part), "{part:?} is not on\n{screen}");
        }
    }

    #[test]
    fn no_size_of_a_terminal_is_too_small() {
        for (width, height) in [(80, 24), (40, 10), (10, 4), (1, 1)] {
            screen(width, height, 12);
        }
    }
}
