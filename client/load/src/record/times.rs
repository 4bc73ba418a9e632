//! Times by class: service, response and send lag.

pub use segcast_client::fetch::Times;

/// One quantity, measured from two moments.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// From when the request was really sent.
    pub service: Times,
    /// From when it was intended to be sent: what a viewer would have waited.
    pub response: Times,
}

impl Pair {
    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.service.add(&other.service);
        self.response.add(&other.response);
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.service.clear();
        self.response.clear();
    }
}

/// What a segment was to its viewer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The first of a viewing: the viewer waits for it.
    Start,
    /// Any other: the player has some ahead.
    Next,
}

/// Times of the segments of one class.
#[derive(Clone, Debug, Default)]
pub struct ClassTimes {
    /// Actual time of sending less the intended one, or less the time from when the session had a place for it: what the
    /// generator alone added, so its own health.
    pub send_lag: Times,
    /// To the first byte.
    pub ttfb: Pair,
    /// To the last byte, authenticated and compared with the manifest's digest.
    pub ttlb: Pair,
}

impl ClassTimes {
    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.send_lag.add(&other.send_lag);
        self.ttfb.add(&other.ttfb);
        self.ttlb.add(&other.ttlb);
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.send_lag.clear();
        self.ttfb.clear();
        self.ttlb.clear();
    }
}

/// All times of one thread, one second, one phase, or one run.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    /// From the first HELLO of a session to its being open.
    pub open: Pair,
    /// [`Class::Start`].
    pub start: ClassTimes,
    /// [`Class::Next`].
    pub next: ClassTimes,
}

impl Timings {
    /// The times of one class.
    pub fn class_mut(&mut self, class: Class) -> &mut ClassTimes {
        match class {
            Class::Start => &mut self.start,
            Class::Next => &mut self.next,
        }
    }

    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.open.add(&other.open);
        self.start.add(&other.start);
        self.next.add(&other.next);
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.open.clear();
        self.start.clear();
        self.next.clear();
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::time::Duration;

    use super::*;

    #[test]
    fn times_add_up_and_clear() {
        let mut all = Timings::default();
        let mut one = Timings::default();
        one.class_mut(Class::Start).ttfb.response.record(Duration::from_millis(7));
        one.class_mut(Class::Next).send_lag.record(Duration::from_nanos(3));
        all.add(&one);
        all.add(&one);
        one.clear();
        all.add(&one);
        assert_eq!(all.start.ttfb.response.histogram().len(), 2);
        assert_eq!(all.start.ttfb.service.histogram().len(), 0);
        assert_eq!(all.next.send_lag.histogram().max(), 1);
    }
}
