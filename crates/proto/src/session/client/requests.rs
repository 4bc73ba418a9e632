//! The requests under way: which were sent, acknowledged, finished; which must go again (section 9).

use super::objects::Key;
use crate::faults::{Fault, planted};
use crate::ids::RequestId;
use crate::limits::REQUESTS_MAX;
use crate::time::{Duration, Instant};
use crate::wire::ranges::ByteRanges;
use crate::wire::status::Status;

/// One request.
#[derive(Debug)]
pub(super) struct Outstanding {
    pub(super) id: RequestId,
    pub(super) key: Key,
    pub(super) ranges: ByteRanges,
    /// As REQUEST has them.
    pub(super) flags: u16,
    pub(super) deadline: Instant,
    /// When it was sent first.
    pub(super) asked: Option<Instant>,
    /// When it was last sent; `None`: it is to be sent.
    pub(super) sent: Option<Instant>,
    pub(super) sends: u32,
    acknowledged: bool,
    /// When what is still missing counts as lost, once the server is finished.
    lost_at: Option<Instant>,
}

/// A request that was given up: it stands in the server's window until a STATUS says that it is finished.
#[derive(Debug)]
struct Cancelled {
    id: RequestId,
    /// When its CANCEL was last sent; `None`: it is to be sent.
    sent: Option<Instant>,
}

/// The round trip of a request that a STATUS acknowledges first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusRtt {
    /// The server answered at once.
    Sample(Duration),
    /// It has finished the request already: the first STATUS may be lost, and this is a later one.
    Bound(Duration),
}

/// How long to wait before something is taken for lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// For what was overtaken.
    pub(super) reordering: Duration,
    /// For the STATUS that knows a request.
    pub(super) answer: Duration,
}

/// All requests of a transport.
#[derive(Debug, Default)]
pub(super) struct Requests {
    list: Vec<Outstanding>,
    /// All of one window: at most 64.
    cancelled: Vec<Cancelled>,
    last_id: RequestId,
}

impl Requests {
    /// Queues a request. The caller keeps to the bound on objects, so that there is a place for each.
    pub(super) fn push(&mut self, key: Key, ranges: ByteRanges, flags: u16, deadline: Instant) {
        self.last_id = self.last_id.next();
        self.list.push(Outstanding {
            id: self.last_id,
            key,
            ranges,
            flags,
            deadline,
            asked: None,
            sent: None,
            sends: 0,
            acknowledged: false,
            lost_at: None,
        });
    }

    /// The request to send next: earliest deadline first, within the window that the server keeps.
    pub(super) fn next_to_send(&mut self, outstanding_max: usize) -> Option<&mut Outstanding> {
        let under_way = self.list.iter().filter(|r| r.sent.is_some()).count();
        let cancelled = self.cancelled.iter().map(|c| c.id);
        let oldest = self.list.iter().map(|r| r.id).chain(cancelled).min()?;
        let repeat_only = under_way >= outstanding_max.clamp(1, REQUESTS_MAX);
        let eligible = |r: &&mut Outstanding| {
            r.sent.is_none() && (r.sends > 0 || !repeat_only) && r.id.window_start() <= oldest
        };
        self.list.iter_mut().filter(eligible).min_by_key(|r| (r.deadline, r.id))
    }

    /// Takes in a STATUS. Gives what it says of the round trip, if it acknowledges a request first.
    pub(super) fn status(
        &mut self,
        now: Instant,
        highest: RequestId,
        status: &Status,
        wait: Waits,
    ) -> Option<StatusRtt> {
        let Waits { reordering, answer } = wait;
        let mut rtt = None;
        if !planted(Fault::RequestNotRepeated) {
            self.repeat_unseen(now, highest, answer);
        }
        self.cancelled_status(now, highest, status, answer);
        for request in self.list.iter_mut().filter(|r| r.sends > 0 && r.id <= highest) {
            let bit = highest.bit_of(request.id).unwrap_or(0);
            let known = bit == 0 || status.received & bit != 0;
            if known && !request.acknowledged {
                request.acknowledged = true;
                if let Some(sent) = request.sent.filter(|_| request.sends == 1) {
                    let passed = now.saturating_since(sent);
                    let late = bit == 0 || status.finished & bit != 0;
                    rtt = match rtt {
                        Some(StatusRtt::Sample(_)) if late => rtt,
                        _ if late => Some(StatusRtt::Bound(passed)),
                        _ => Some(StatusRtt::Sample(passed)),
                    };
                }
            }
            if planted(Fault::RequestNotRepeated) {
                continue;
            }
            if !known && request.sent.is_some_and(|at| now.saturating_since(at) > reordering) {
                request.sent = None;
            }
            if (bit == 0 || status.finished & bit != 0) && request.lost_at.is_none() {
                request.lost_at = Some(now + reordering);
            }
        }
        rtt
    }

    /// The server had seen no request above `highest` when it sent a STATUS that came now: one that went out `answer` ago
    /// or longer should have been there before.
    fn repeat_unseen(&mut self, now: Instant, highest: RequestId, answer: Duration) {
        for request in self.list.iter_mut().filter(|r| r.id > highest && !r.acknowledged) {
            if request.sent.is_some_and(|at| now.saturating_since(at) > answer) {
                request.sent = None;
            }
        }
    }

    /// Forgets the cancelled requests that the server has finished. A CANCEL that went out `answer` ago or longer should
    /// have been there before this STATUS: it goes again.
    fn cancelled_status(
        &mut self,
        now: Instant,
        highest: RequestId,
        status: &Status,
        answer: Duration,
    ) {
        let is_open = |id| id > highest || status.finished & highest.bit_of(id).unwrap_or(0) == 0;
        self.cancelled.retain(|c| is_open(c.id) && highest.window_start() <= c.id);
        for cancelled in &mut self.cancelled {
            cancelled.sent.take_if(|sent| now.saturating_since(*sent) > answer);
        }
    }

    /// Takes out one finished request whose missing bytes count as lost now.
    pub(super) fn take_lost(&mut self, now: Instant) -> Option<Outstanding> {
        let at = self.list.iter().position(|r| r.lost_at.is_some_and(|at| at <= now))?;
        Some(self.list.remove(at))
    }

    /// When the next finished request counts as lost.
    pub(super) fn next_lost(&self) -> Option<Instant> {
        self.list.iter().filter_map(|r| r.lost_at).min()
    }

    /// Sends the oldest unfinished request again, or its CANCEL: a probe that the server answers with STATUS.
    pub(super) fn probe(&mut self) {
        if planted(Fault::RequestNotRepeated) {
            return;
        }
        let unfinished = self.list.iter_mut().filter(|r| r.sends > 0 && r.lost_at.is_none());
        let requests = unfinished.map(|r| (r.id, &mut r.sent));
        let cancelled = self.cancelled.iter_mut().map(|c| (c.id, &mut c.sent));
        if let Some((_, sent)) = requests.chain(cancelled).min_by_key(|(id, _)| *id) {
            *sent = None;
        }
    }

    /// Whether a server should be heard from: something was sent and is not finished.
    pub(super) fn expects_answer(&self) -> bool {
        let is_open = |r: &Outstanding| r.sends > 0 && r.lost_at.is_none();
        !self.cancelled.is_empty() || self.list.iter().any(is_open)
    }

    /// Whether the server owes something that was asked for before `then`.
    pub(super) fn was_asked_before(&self, then: Instant) -> bool {
        let owed = |r: &Outstanding| r.lost_at.is_none() && r.asked.is_some_and(|at| at < then);
        self.list.iter().any(owed)
    }

    /// When a request or a CANCEL was last sent.
    pub(super) fn last_sent(&self) -> Option<Instant> {
        let cancelled = self.cancelled.iter().filter_map(|c| c.sent);
        self.list.iter().filter_map(|r| r.sent).chain(cancelled).max()
    }

    /// Forgets the requests for an object that is complete or refused.
    pub(super) fn forget(&mut self, key: &Key) {
        self.list.retain(|r| r.key != *key);
    }

    /// Gives up the requests for an object: those that the server may still work on are cancelled.
    pub(super) fn cancel(&mut self, key: &Key) {
        let open = |r: &&Outstanding| r.key == *key && r.sends > 0 && r.lost_at.is_none();
        let open = self.list.iter().filter(open).map(|r| Cancelled { id: r.id, sent: None });
        self.cancelled.extend(open);
        self.forget(key);
    }

    /// The CANCEL to send next.
    pub(super) fn next_cancel(&mut self, now: Instant) -> Option<RequestId> {
        let cancelled = self.cancelled.iter_mut().find(|c| c.sent.is_none())?;
        cancelled.sent = Some(now);
        Some(cancelled.id)
    }

    /// The object of a request.
    pub(super) fn key_of(&self, id: RequestId) -> Option<Key> {
        self.list.iter().find(|r| r.id == id).map(|r| r.key)
    }

    /// Whether an object has a request.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.list.iter().any(|r| r.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ObjectNumber, SetHandle};

    const MS: Duration = Duration::from_millis(1);
    const WAITS: Waits = Waits { reordering: MS, answer: Duration::from_millis(50) };

    fn sent(count: u32) -> Requests {
        let mut requests = Requests::default();
        for number in 0..count {
            requests.push(
                (SetHandle(0), ObjectNumber(number)),
                ByteRanges::WHOLE,
                0,
                Instant::ZERO,
            );
        }
        while let Some(request) = requests.next_to_send(64) {
            (request.sent, request.sends) = (Some(Instant::ZERO), 1);
        }
        requests
    }

    fn status(received: u64, finished: u64) -> Status {
        Status { received, finished, next_sequence: 0 }
    }

    #[test]
    fn a_request_that_was_overtaken_goes_again_with_its_id() {
        let mut requests = sent(3);
        let now = Instant::ZERO + MS * 10;
        let rtt = requests.status(now, RequestId(3), &status(0b101, 0), WAITS);
        assert_eq!(rtt, Some(StatusRtt::Sample(MS * 10)));
        assert_eq!(requests.next_to_send(64).map(|r| r.id), Some(RequestId(2)));
    }

    #[test]
    fn requests_that_a_later_status_does_not_know_go_again() {
        let mut requests = sent(3);
        requests.status(Instant::ZERO + MS * 50, RequestId(1), &status(1, 1), WAITS);
        assert!(requests.next_to_send(64).is_none(), "they may be under way");
        requests.status(Instant::ZERO + MS * 51, RequestId(1), &status(1, 1), WAITS);
        let again = std::iter::from_fn(|| {
            let request = requests.next_to_send(64)?;
            request.sent = Some(Instant::ZERO);
            Some(request.id.0)
        });
        assert_eq!(again.collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_finished_request_counts_as_lost_after_the_reordering_window() {
        let mut requests = sent(1);
        requests.status(Instant::ZERO, RequestId(1), &status(1, 1), WAITS);
        assert!(requests.take_lost(Instant::ZERO).is_none());
        assert_eq!(requests.next_lost(), Some(Instant::ZERO + MS));
        assert_eq!(requests.take_lost(Instant::ZERO + MS).map(|r| r.id), Some(RequestId(1)));
        assert!(!requests.expects_answer());
    }

    /// Asks for a hundred more objects; gives the highest id that may be sent.
    fn highest_of_more(requests: &mut Requests) -> u32 {
        for number in 0..100 {
            requests.push(
                (SetHandle(1), ObjectNumber(number)),
                ByteRanges::WHOLE,
                0,
                Instant::ZERO,
            );
        }
        let mut highest = 0;
        while let Some(request) = requests.next_to_send(usize::MAX) {
            (request.sent, request.sends) = (Some(Instant::ZERO), 1);
            highest = highest.max(request.id.0);
        }
        highest
    }

    #[test]
    fn the_window_of_ids_is_never_left() {
        assert_eq!(highest_of_more(&mut sent(1)), 64);
    }

    #[test]
    fn a_cancelled_request_stands_in_the_way_until_a_status_says_that_it_is_finished() {
        let mut requests = sent(1);
        requests.cancel(&(SetHandle(0), ObjectNumber(0)));
        assert_eq!(requests.next_cancel(Instant::ZERO), Some(RequestId(1)));
        assert_eq!(highest_of_more(&mut requests), 64);
        requests.status(Instant::ZERO, RequestId(64), &status(u64::MAX, u64::MAX >> 1), WAITS);
        assert!(requests.next_to_send(64).is_none(), "the CANCEL has not come");
        requests.status(Instant::ZERO, RequestId(64), &status(u64::MAX, 1 << 63), WAITS);
        assert_eq!(requests.next_to_send(64).map(|r| r.id), Some(RequestId(65)));
    }

    #[test]
    fn a_lost_cancel_goes_again() {
        let mut requests = sent(1);
        requests.cancel(&(SetHandle(0), ObjectNumber(0)));
        assert_eq!(requests.next_cancel(Instant::ZERO), Some(RequestId(1)));
        assert_eq!(requests.next_cancel(Instant::ZERO), None, "once");
        assert!(
            requests.expects_answer(),
            "nothing else is asked for, and the server is still asked"
        );
        requests.probe();
        assert_eq!(requests.next_cancel(Instant::ZERO), Some(RequestId(1)));
        let now = Instant::ZERO + MS * 50;
        requests.status(now, RequestId(1), &status(1, 0), WAITS);
        assert_eq!(requests.next_cancel(now), None, "the STATUS may be older");
        let now = now + MS;
        requests.status(now, RequestId(1), &status(1, 0), WAITS);
        assert_eq!(requests.next_cancel(now), Some(RequestId(1)));
        requests.status(now, RequestId(1), &status(1, 1), WAITS);
        assert!(!requests.expects_answer());
    }
}
