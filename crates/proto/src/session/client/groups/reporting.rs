//! GROUP_REPORTs: when one is due, and what it says (section 20.2).

use super::{Channel, Groups, NumberedReport};
use crate::limits::{GROUP_REPORT_MAX, GROUP_REPORT_MIN};
use crate::time::{Duration, Instant};
use crate::wire::group_report::GroupReport;

/// A change is told at once, but not more often than this.
const SPACING: Duration = Duration::from_millis(200);

/// When reports are due.
#[derive(Debug)]
pub(super) struct Reporting {
    number: u32,
    interval: Duration,
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Default for Reporting {
    fn default() -> Self {
        Self { number: 0, interval: GROUP_REPORT_MIN, last: None, due: None }
    }
}

impl Reporting {
    pub(super) fn set_interval(&mut self, milliseconds: u16) {
        let asked = Duration::from_millis(milliseconds.into());
        self.interval = asked.clamp(GROUP_REPORT_MIN, GROUP_REPORT_MAX);
    }

    /// Something changed that the server should know.
    pub(super) fn soon(&mut self, now: Instant) {
        let at = self.last.map_or(now, |last| now.max(last + SPACING));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Groups {
    /// The report that is due now, for [`ClientSession::send_group_report`](super::super::ClientSession::send_group_report).
    pub fn poll_report(&mut self, now: Instant) -> Option<NumberedReport> {
        self.reporting.due.take_if(|due| *due <= now)?;
        if self.serial == 0 {
            // Nothing was announced in this session.
            return None;
        }
        self.reporting.number += 1;
        self.reporting.last = Some(now);
        // Who has left all says so once.
        self.reporting.due = (!self.channels.is_empty()).then(|| now + self.reporting.interval);
        let report = GroupReport {
            serial: self.serial,
            rate_kbit: self.accepted_kbit(),
            window: self.config.window,
            channels: self.channels.iter_mut().map(Channel::report).collect(),
        };
        Some(NumberedReport { number: self.reporting.number, position: self.position, report })
    }
}
