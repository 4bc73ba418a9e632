//! A segment that is wanted: from its intention to its end.

use segcast_proto::ids::SetHandle;
use segcast_proto::time::Instant;

use crate::record::Class;

/// One segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The set in the token.
    pub(super) handle: SetHandle,
    /// The index of its title.
    pub(super) title: u16,
    pub(super) number: u32,
    /// Which of the viewing, from 0.
    pub(super) k: u32,
    pub(super) bytes: u32,
    pub(super) class: Class,
    /// The phase in which it was intended.
    pub(super) phase: usize,
    pub(super) intended: Instant,
    /// Later is late.
    pub(super) deadline: Instant,
    /// Later is too late to ask.
    pub(super) ask_by: Instant,
    /// Later is lost.
    pub(super) give_up: Instant,
    pub(super) asked: Option<Instant>,
    /// The session did not take it when it had a place.
    pub(super) blocked: bool,
}

impl Segment {
    /// When it is given up on.
    pub(super) fn due(&self) -> Instant {
        if self.asked.is_some() { self.give_up } else { self.ask_by }
    }
}
