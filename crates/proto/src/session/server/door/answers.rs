//! Small packets that are ready to go: WELCOME, COOKIE, CLOSE. They outlive the state that made them.

use std::collections::VecDeque;

use crate::session::server::event::Path;

/// The largest of them: a CLOSE with a reason, or a WELCOME (24 + 32 + 12 + 16), with room to spare.
pub(in crate::session::server) const ANSWER_MAX: usize = 192;
/// How many wait at most; more are dropped and counted (their requesters ask again).
const ANSWERS_MAX: usize = 1024;

/// One packet and where it goes.
#[derive(Clone, Copy)]
pub(in crate::session::server) struct Answer {
    pub(in crate::session::server) path: Path,
    len: u8,
    bytes: [u8; ANSWER_MAX],
}

impl Answer {
    /// Copies a packet of at most [`ANSWER_MAX`] bytes.
    pub(in crate::session::server) fn new(path: Path, packet: &[u8]) -> Self {
        assert!(packet.len() <= ANSWER_MAX, "answers are small by construction");
        let mut bytes = [0; ANSWER_MAX];
        bytes[..packet.len()].copy_from_slice(packet);
        Self { path, len: packet.len() as u8, bytes }
    }

    pub(in crate::session::server) fn packet(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A bounded queue of answers.
#[derive(Default)]
pub(in crate::session::server) struct Answers {
    queue: VecDeque<Answer>,
}

impl Answers {
    /// Queues an answer; false: full, dropped.
    pub(in crate::session::server) fn push(&mut self, answer: Answer) -> bool {
        let room = self.queue.len() < ANSWERS_MAX;
        if room {
            self.queue.push_back(answer);
        }
        room
    }

    pub(in crate::session::server) fn pop(&mut self) -> Option<Answer> {
        self.queue.pop_front()
    }
}
