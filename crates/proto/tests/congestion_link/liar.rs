//! Clients that lie about what came, or hold back the truth, to be sent more than their share.

use std::collections::VecDeque;

use super::link::Nanos;
use super::receiver::{Packet, Report};

use super::MS;
/// More numbers than the server remembers skips for.
const FORGOTTEN: u64 = 33_500;

/// What a client does beside what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    #[default]
    None,
    /// It reports everything up to the highest number that came.
    All,
    /// What is missing between two packets of one train: nothing is skipped there.
    WithinTrains,
    /// So many numbers beyond the highest that came.
    Ahead(u64),
    /// It echoes a time that is so many microseconds off.
    Echo(i32),
    /// It says that it held each report for so long.
    Held(Nanos),
    /// It reports each packet by itself.
    Often,
    /// Each report comes so much later.
    Late(Nanos),
    /// Each packet is told so much later, and what the server has forgotten the skips of came, whether it did or not.
    LateAndAll(Nanos),
    /// Every second group of so many numbers is told so much later than the rest.
    Parts(u64, Nanos),
    /// It asks for PULSE_REPLYs and tells them when they count as lost.
    LateControl,
    /// It hides ECN marks.
    Marks,
}

/// A lie, and what it needs to remember.
#[derive(Debug, Default)]
pub struct Liar {
    pub lie: Lie,
    /// Held back, with the time when each is told.
    held: VecDeque<(Nanos, Packet)>,
    last: Option<Packet>,
    /// The highest that came, and those that were told and may be claimed with everything below.
    highest: u64,
    told: VecDeque<Packet>,
}

impl Liar {
    pub fn new(lie: Lie) -> Self {
        Self { lie, ..Self::default() }
    }

    /// A packet came: those that are to be taken in now.
    pub fn hear(&mut self, now: Nanos, packet: Packet) -> Vec<Packet> {
        self.highest = self.highest.max(packet.number);
        let (wait, is_held) = match self.lie {
            Lie::WithinTrains => return self.train_up_to(packet),
            Lie::Marks => return vec![Packet { marked: false, ..packet }],
            Lie::LateAndAll(wait) => (wait, true),
            Lie::Parts(group, wait) => (wait, (packet.number / group).is_multiple_of(2)),
            Lie::LateControl => (60 * MS, !packet.is_data),
            _ => (0, false),
        };
        if !is_held {
            return vec![packet];
        }
        self.held.push_back((now + wait, packet));
        Vec::new()
    }

    /// The packet, and those of its train that should have come before it.
    fn train_up_to(&mut self, packet: Packet) -> Vec<Packet> {
        let before = self.last.replace(packet);
        let of_train = before.filter(|it| it.sent_micros == packet.sent_micros);
        let from = of_train.map_or(packet.number, |it| it.number.min(packet.number) + 1);
        (from..=packet.number).map(|number| Packet { number, ..packet }).collect()
    }

    /// How long each report is held back.
    pub fn holds_reports(&self) -> Nanos {
        if let Lie::Late(wait) = self.lie { wait } else { 0 }
    }

    /// When something held back is told, unless it waits for other news.
    pub fn next(&self) -> Option<Nanos> {
        self.held.front().filter(|_| self.lie != Lie::LateControl).map(|(at, _)| *at)
    }

    /// What was held back until now.
    pub fn release(&mut self, now: Nanos) -> Option<Packet> {
        let (_, packet) = self.held.pop_front_if(|(at, _)| *at <= now)?;
        if matches!(self.lie, Lie::LateAndAll(..)) {
            self.told.push_back(packet);
        }
        Some(packet)
    }

    /// What is reported instead of what is true.
    pub fn twist(&mut self, mut report: Report) -> Report {
        let Some(newest) = report.ranges.first_mut() else { return report };
        match self.lie {
            Lie::All => report.ranges = vec![(0, newest.1)],
            Lie::Ahead(numbers) => newest.1 += numbers,
            Lie::Echo(micros) => report.echo = report.echo.wrapping_add_signed(micros),
            Lie::Held(wait) => report.delay += wait,
            Lie::LateAndAll(..) => {
                let below = self.highest.saturating_sub(FORGOTTEN);
                let forgotten = |packet: &mut Packet| packet.number <= below;
                let mut newest = None;
                while let Some(packet) = self.told.pop_front_if(forgotten) {
                    newest = Some(packet);
                }
                if let Some(packet) = newest {
                    report.echo = packet.sent_micros;
                    report.delay = 0;
                    report.ranges = vec![(0, packet.number)];
                }
            }
            _ => {}
        }
        report
    }
}
