//! What groups lose, and what the client does about it: it hears fewer channels, or none for a while (section 20.4).

use super::{Groups, GroupsEvent};
use crate::limits::GROUP_LOSSY;
use crate::time::{Duration, Instant};

/// Loss is judged over this time and so many symbols, at least.
const WINDOW: Duration = Duration::from_secs(10);
const SYMBOLS_MIN: u64 = 500;
/// Above this, of 10 000, nothing is heard any more, for the pause of who is deaf.
const HEAVY: u64 = 3000;
/// How long fewer channels are heard.
const FEWER: Duration = Duration::from_secs(300);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    None,
    /// The farthest channel is left.
    Fewer,
    /// That did not help: the path loses as much by itself.
    AsBefore,
    LeaveAll,
}

/// The loss of one client, over all channels.
#[derive(Debug, Default)]
pub(super) struct Loss {
    since: Option<Instant>,
    lost: u64,
    symbols: u64,
    /// What was lost, of 10 000, when a channel was left.
    before: Option<u64>,
    /// Leaving a channel does not help.
    is_of_path: bool,
    /// So many channels are heard at most, until then.
    fewer: Option<(usize, Instant)>,
}

impl Loss {
    /// Of a send that was heard from its begin `lost` of so many symbols did not come.
    pub(super) fn count(&mut self, now: Instant, lost: u32, symbols: u32) {
        self.since.get_or_insert(now);
        self.lost += u64::from(lost);
        self.symbols += u64::from(symbols);
    }

    /// So many channels may be joined.
    pub(super) fn channels_max(&self, now: Instant) -> usize {
        self.fewer.filter(|(_, until)| now < *until).map_or(usize::MAX, |(most, _)| most)
    }

    /// Judges the window that ends now, if one does; `joined` channels are heard.
    fn judge(&mut self, now: Instant, joined: usize) -> Reaction {
        let is_over = self.since.is_some_and(|since| now >= since + WINDOW);
        if !is_over || self.symbols < SYMBOLS_MIN {
            return Reaction::None;
        }
        let loss = self.lost * 10_000 / self.symbols;
        (self.since, self.lost, self.symbols) = (None, 0, 0);
        let before = self.before.take();
        if loss > HEAVY {
            return Reaction::LeaveAll;
        }
        if before.is_some_and(|before| loss * 3 > before * 2) {
            (self.is_of_path, self.fewer) = (true, None);
            return Reaction::AsBefore;
        }
        if loss > u64::from(GROUP_LOSSY) && !self.is_of_path && joined > 1 {
            self.before = Some(loss);
            self.fewer = Some((joined - 1, now + FEWER));
            return Reaction::Fewer;
        }
        Reaction::None
    }
}

impl Groups {
    /// Hears less where too much is lost.
    pub(super) fn react_to_loss(&mut self, now: Instant) {
        let joined = self.channels.iter().filter(|channel| channel.is_joined()).count();
        if self.loss.judge(now, joined) != Reaction::LeaveAll {
            // The others are seen to when channels are chosen.
            return;
        }
        for channel in self.channels.iter_mut().filter(|channel| channel.is_joined()) {
            channel.turn_deaf(now);
            self.stats.deaf += 1;
            self.events.push_back(GroupsEvent::Leave(channel.route));
        }
        self.reporting.soon(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_nanos(1_000_000_000);

    /// A window in which of 1000 symbols so many are lost.
    fn window(loss: &mut Loss, now: &mut Instant, lost: u32, joined: usize) -> Reaction {
        loss.count(*now, lost, 1000);
        *now += WINDOW;
        loss.judge(*now, joined)
    }

    #[test]
    fn a_channel_is_left_and_joined_again_if_that_does_not_help() {
        let (mut loss, mut now) = (Loss::default(), START);
        assert_eq!(window(&mut loss, &mut now, 100, 3), Reaction::None);
        assert_eq!(window(&mut loss, &mut now, 101, 1), Reaction::None, "the last one stays");
        assert_eq!(window(&mut loss, &mut now, 120, 3), Reaction::Fewer);
        assert_eq!(loss.channels_max(now), 2);
        assert_eq!(window(&mut loss, &mut now, 80, 2), Reaction::None, "a third better");
        assert_eq!((loss.channels_max(now), loss.channels_max(now + FEWER)), (2, usize::MAX));
        assert_eq!(window(&mut loss, &mut now, 120, 2), Reaction::Fewer);
        assert_eq!(window(&mut loss, &mut now, 81, 1), Reaction::AsBefore);
        assert_eq!(loss.channels_max(now), usize::MAX);
        assert_eq!(window(&mut loss, &mut now, 290, 3), Reaction::None, "the path's own loss");
        assert_eq!(window(&mut loss, &mut now, 301, 3), Reaction::LeaveAll);
    }

    #[test]
    fn little_time_and_few_symbols_say_nothing() {
        let (mut loss, mut now) = (Loss::default(), START);
        loss.count(now, 900, 1000);
        now += WINDOW / 2;
        assert_eq!(loss.judge(now, 3), Reaction::None);
        assert_eq!(loss.judge(START + WINDOW, 3), Reaction::LeaveAll);
        loss.count(now, 400, 499);
        assert_eq!(loss.judge(now + WINDOW * 2, 3), Reaction::None);
        loss.count(now, 0, 1);
        assert_eq!(loss.judge(now + WINDOW * 2, 3), Reaction::LeaveAll);
    }
}
