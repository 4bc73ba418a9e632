//! What is watched, by how many, and when each segment is needed.

use serde::Serialize;

/// Running time of the title, s.
pub(super) const PLAYING: f64 = 7200.0;
/// Its segments, and the bytes of each: 5 Mbit/s.
pub(super) const SEGMENTS: u32 = 2441;
pub(super) const SEGMENT_BYTES: u32 = 1600 * 1152;
/// Until the first segment plays, s.
pub(super) const STARTUP: f64 = 2.0;
/// Nothing counts before this, in running times: by then viewers come and go at the same rate.
const WARM: f64 = 1.05;

/// How unlike titles are in their popularity: Zipf's exponent.
const ZIPF: f64 = 0.8;

/// One row's arrivals and losses.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Plan {
    /// At once, on average; of a crowd, all.
    pub(super) viewers: f64,
    /// They watch so many titles, the one of rank r in proportion to r^-0.8.
    pub(super) titles: u32,
    /// Share of datagrams that a viewer does not get, each by itself.
    pub(super) loss: f64,
    /// Share of viewers that begin anywhere in the title.
    pub(super) elsewhere: f64,
    /// All viewers come within so many seconds.
    pub(super) crowd: Option<f64>,
}

impl Plan {
    /// Viewers that come by chance and begin at the beginning.
    pub(super) fn plain(viewers: u32) -> Self {
        let viewers = f64::from(viewers);
        Self { viewers, titles: 1, loss: 0.0, elsewhere: 0.0, crowd: None }
    }

    /// All of them within ten seconds.
    pub(super) fn crowd(viewers: u32) -> Self {
        Self { crowd: Some(10.0), ..Self::plain(viewers) }
    }

    /// The viewers of each title, by rank.
    pub(super) fn by_title(&self) -> impl Iterator<Item = Self> {
        let weight = |rank: u32| f64::from(rank).powf(-ZIPF);
        let all: f64 = (1..=self.titles).map(weight).sum();
        let plan = *self;
        (1..=self.titles)
            .map(move |rank| Self { viewers: plan.viewers * weight(rank) / all, ..plan })
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let mut name = self.viewers.to_string();
        if self.titles > 1 {
            name += &format!(" of {} titles", self.titles);
        }
        if self.loss > 0.0 {
            name += &format!(", {} % loss", self.loss * 100.0);
        }
        if self.elsewhere > 0.0 {
            name += &format!(", {} % begin anywhere", self.elsewhere * 100.0);
        }
        if let Some(seconds) = self.crowd {
            name += &format!(" within {seconds} s");
        }
        name
    }

    /// When counting begins, s.
    pub(super) fn from(&self) -> f64 {
        if self.crowd.is_some() { 0.0 } else { WARM * PLAYING }
    }

    /// For how long it goes on, s: few viewers need longer for a mean that is worth something.
    pub(super) fn window(&self) -> f64 {
        match self.crowd {
            Some(seconds) => seconds + STARTUP + PLAYING,
            // Many titles make a mean of their own.
            None if self.titles > 1 => 2.0 * PLAYING,
            None => PLAYING * (400.0 / self.viewers).max(2.0),
        }
    }

    /// Arrivals a second.
    pub(super) fn rate(&self) -> f64 {
        let mean = 1.0 - self.elsewhere / 2.0;
        self.viewers / (PLAYING * mean)
    }

    /// What the bytes must not be above, as a multiple of their bound.
    pub(super) fn must_be(&self) -> f64 {
        let under_loss = if self.loss > 0.0 { 0.05 } else { 0.0 };
        let ideal = match self.viewers {
            _ if self.titles > 1 => 1.06,
            _ if self.crowd.is_some() || self.elsewhere > 0.0 => 1.10,
            ..=100.0 => 1.12,
            ..=1000.0 => 1.15,
            _ => 1.25,
        };
        ideal + under_loss
    }
}

/// When a viewer who came at `arrival` and began at `first` needs `segment`, s: when it plays, less a reserve that grows to a
/// tenth of what was played, at most half a minute.
pub(super) fn deadline(arrival: f64, first: u32, segment: u32) -> f64 {
    let played = f64::from(segment - first) * PLAYING / f64::from(SEGMENTS);
    arrival + STARTUP + played - (played / 10.0).min(30.0)
}
