//! All open channels of a shard, and which of them is next.

use super::line::Line;
use crate::time::Instant;

/// Channels by their slots. A slot that is free wakes never.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Option<Line>>,
    /// Apart from the lines, so that one pass over them reads little: 4096 of them are 64 KiB.
    wakes: Vec<Instant>,
    ends: Vec<Instant>,
    open: usize,
}

impl Lines {
    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Opens a line; its slot.
    pub(super) fn insert(&mut self, line: Line) -> u32 {
        let free = self.lines.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.lines.push(None);
            self.wakes.push(Instant::FAR_FUTURE);
            self.ends.push(Instant::FAR_FUTURE);
            self.lines.len() - 1
        });
        self.lines[slot] = Some(line);
        self.open += 1;
        slot as u32
    }

    /// Closes a line.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Line> {
        let line = self.lines.get_mut(slot as usize)?.take()?;
        self.open -= 1;
        self.wakes[slot as usize] = Instant::FAR_FUTURE;
        self.ends[slot as usize] = Instant::FAR_FUTURE;
        Some(line)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Line> {
        self.lines.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Line> {
        self.lines.get_mut(slot as usize)?.as_mut()
    }

    /// Notes when a line that was changed has something to do, and when that should end.
    pub(super) fn plan(&mut self, slot: u32) {
        if let Some(line) = self.get(slot) {
            let (wakes, ends) = (line.wakes(), line.ends_by());
            self.wakes[slot as usize] = wakes;
            self.ends[slot as usize] = ends;
        }
    }

    /// When the first of them has something to do.
    pub(super) fn next(&self) -> Instant {
        self.wakes.iter().copied().min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Of those that have something to do at `now`: one that has to decide what to send, else the one that must end first.
    pub(super) fn due(&self, now: Instant) -> Option<u32> {
        let mut best = None;
        for (slot, wakes) in self.wakes.iter().enumerate() {
            if *wakes > now {
                continue;
            }
            let ends = self.ends[slot];
            if ends == Instant::FAR_FUTURE {
                return Some(slot as u32);
            }
            if best.is_none_or(|(_, earliest)| ends < earliest) {
                best = Some((slot as u32, ends));
            }
        }
        best.map(|(slot, _)| slot)
    }
}
