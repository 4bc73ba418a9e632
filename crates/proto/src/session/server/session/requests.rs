//! What a session has been asked for and has not been sent: the queue of work.

use core::ops::Range;

use crate::faults::{Fault, planted};
use crate::ids::{ObjectNumber, RequestId, SetHandle, SetIndex};
use crate::limits::{QUEUED_RANGES_MAX, REQUESTS_MAX};
use crate::session::server::send::overload::TRAIN_COST;
use crate::time::{Duration, Instant};
use crate::wire::FrameHeader;

/// One request's remaining work; the ranges that it wants are with the [`RequestQueue`].
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: RequestId,
    pub(super) handle: SetHandle,
    /// The source's index of the set.
    pub(super) set: SetIndex,
    pub(super) object: ObjectNumber,
    pub(super) deadline: Instant,
    /// Asks again for what was sent before.
    pub(super) repair: bool,
    /// Waits for `object_ready`.
    pub(super) waiting: bool,
    /// Held: a group may serve it until so many milliseconds before its deadline. 0: it is not held.
    lead_ms: u16,
    /// Ranges not yet sent.
    pieces: usize,
    /// Bytes not yet sent, as far as the object reaches.
    left: u64,
}

impl Queued {
    /// The request that came with `frame`, for an object of the source's set `set`; what it wants of it is said when it
    /// is queued.
    pub(super) fn new(frame: &FrameHeader, set: SetIndex, deadline: Instant, repair: bool) -> Self {
        let FrameHeader { set_handle: handle, object, .. } = *frame;
        let id = frame.request();
        let (waiting, lead_ms, pieces, left) = (false, 0, 0, 0);
        Self { id, handle, set, object, deadline, repair, waiting, lead_ms, pieces, left }
    }

    /// The same, held until `lead` before its deadline: 1 ms to 65 s.
    pub(super) fn held(mut self, lead: Duration) -> Self {
        let millis = lead.as_nanos().div_ceil(1_000_000).clamp(1, u128::from(u16::MAX));
        self.lead_ms = millis as u16;
        self
    }

    pub(super) fn is_held(&self) -> bool {
        self.lead_ms != 0
    }

    /// When it is sent by unicast after all, if it is held.
    pub(super) fn hold_until(&self) -> Instant {
        if planted(Fault::HoldForgotten) {
            return Instant::FAR_FUTURE;
        }
        self.deadline - Duration::from_millis(u64::from(self.lead_ms))
    }

    /// Bytes not yet sent, as far as the object reaches.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn is_ready(&self) -> bool {
        !self.waiting && !self.is_held()
    }

    pub(super) fn is_for(&self, set: SetIndex, object: ObjectNumber) -> bool {
        self.set == set && self.object == object
    }
}

/// The queue of one session: at most [`REQUESTS_MAX`] requests and [`QUEUED_RANGES_MAX`] ranges.
///
/// Both lists take all their room, some 8 KiB, at the first request: however badly a path loses, repairs then allocate
/// nothing. The lists go when the session rests.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    queue: Vec<Queued>,
    /// What is still to be sent for each request, in the order of `queue`; a request's ranges ascend, and its first
    /// one shrinks as it is sent.
    ranges: Vec<Range<u32>>,
    /// Bytes not yet sent for all requests.
    bytes: u64,
    /// What of all this is held: nothing of it is to be sent.
    held: Held,
}

/// Requests that are held, or what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    requests: usize,
    ranges: usize,
    bytes: u64,
}

impl Held {
    fn count(&mut self, request: &Queued) {
        if request.is_held() {
            self.requests += 1;
            self.ranges += request.pieces;
            self.bytes += request.left;
        }
    }

    fn forget(&mut self, request: &Queued) {
        if request.is_held() {
            self.requests -= 1;
            self.ranges -= request.pieces;
            self.bytes -= request.left;
        }
    }
}

impl RequestQueue {
    /// Takes in a request for `ranges`, or for the whole object of `len` bytes when there is none; false: the queue is
    /// full.
    pub(super) fn push(
        &mut self,
        mut request: Queued,
        ranges: impl ExactSizeIterator<Item = Range<u32>>,
        len: u32,
    ) -> bool {
        let pieces = ranges.len().max(1);
        if self.queue.len() >= REQUESTS_MAX || self.ranges.len() + pieces > QUEUED_RANGES_MAX {
            return false;
        }
        if self.queue.capacity() == 0 {
            self.queue.reserve_exact(REQUESTS_MAX);
            self.ranges.reserve_exact(QUEUED_RANGES_MAX);
        }
        let whole = ranges.len() == 0;
        self.ranges.extend(ranges);
        self.ranges.extend(whole.then_some(0..u32::MAX));
        request.pieces = pieces;
        let added = self.ranges.iter().rev().take(pieces);
        request.left = added.map(|r| u64::from(r.end.min(len).saturating_sub(r.start))).sum();
        self.bytes += request.left;
        self.held.count(&request);
        self.queue.push(request);
        true
    }

    /// Where the ranges of the request at `at` begin.
    fn start(&self, at: usize) -> usize {
        self.queue.iter().take(at).map(|request| request.pieces).sum()
    }

    /// The next range to send for the request at `at` from an object of `len` bytes; `None`: finished.
    pub(super) fn next_range(&mut self, at: usize, len: u32) -> Option<Range<u32>> {
        let start = self.start(at);
        while self.queue.get(at)?.pieces > 0 {
            let range = self.ranges.get(start)?;
            let cut = u32::from(planted(Fault::RangeCutShort));
            let clipped = range.start..range.end.min(len).saturating_sub(cut);
            if clipped.start < clipped.end {
                return Some(clipped);
            }
            self.ranges.remove(start);
            self.queue.get_mut(at)?.pieces -= 1;
        }
        None
    }

    /// The request at `at` and the first of its ranges, as they stand.
    pub(super) fn peek(&self, at: usize) -> Option<(&Queued, &Range<u32>)> {
        self.queue.get(at).zip(self.ranges.get(self.start(at)))
    }

    /// The oldest request.
    pub(super) fn front(&self) -> Option<&Queued> {
        self.queue.first()
    }

    /// Notes that the next range of the request at `at` was sent up to `end`.
    pub(super) fn sent_to(&mut self, at: usize, end: u32) {
        let start = self.start(at);
        if let (Some(range), Some(request)) = (self.ranges.get_mut(start), self.queue.get_mut(at)) {
            let sent = u64::from(end.saturating_sub(range.start)).min(request.left);
            (request.left, self.bytes) = (request.left - sent, self.bytes - sent);
            range.start = end;
        }
    }

    /// Position of the request with the earliest deadline that neither waits nor is held; among equals the oldest.
    pub(super) fn most_urgent(&self) -> Option<usize> {
        let ready = self.queue.iter().enumerate().filter(|(_, r)| r.is_ready());
        ready.min_by_key(|(_, r)| (r.deadline, r.id)).map(|(at, _)| at)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Queued> {
        self.queue.get_mut(at)
    }

    /// Takes the request at `at` out.
    pub(super) fn remove(&mut self, at: usize) -> Queued {
        let start = self.start(at);
        let request = self.queue.remove(at);
        self.ranges.drain(start..start + request.pieces);
        self.bytes -= request.left;
        self.held.forget(&request);
        request
    }

    /// Requests that are held, the oldest first, each with its position.
    fn held(&self) -> impl Iterator<Item = (usize, &Queued)> {
        self.queue.iter().enumerate().filter(|(_, r)| r.is_held())
    }

    /// The oldest of those that `is_wanted` likes.
    pub(super) fn find_held(
        &self,
        is_wanted: impl FnMut(&(usize, &Queued)) -> bool,
    ) -> Option<(usize, &Queued)> {
        self.held().find(is_wanted)
    }

    /// Whether a request for an object is held.
    pub(super) fn holds(&self, set: SetIndex, object: ObjectNumber) -> bool {
        self.held().any(|(_, r)| r.is_for(set, object))
    }

    /// The request at `at` is held no longer: it is to be sent.
    pub(super) fn release(&mut self, at: usize) {
        let Some(request) = self.queue.get_mut(at) else { return };
        self.held.forget(request);
        request.lead_ms = 0;
    }

    /// How many requests are held.
    pub(super) fn held_len(&self) -> usize {
        self.held.requests
    }

    /// When the first of the held requests is to be sent by unicast after all.
    pub(super) fn next_release(&self) -> Option<Instant> {
        if self.held.requests == 0 {
            return None;
        }
        self.held().map(|(_, r)| r.hold_until()).min()
    }

    /// Takes the request with `id` out.
    pub(super) fn cancel(&mut self, id: RequestId) -> Option<Queued> {
        let at = self.queue.iter().position(|r| r.id == id)?;
        Some(self.remove(at))
    }

    /// Wakes the requests that wait for an object; says whether there was one.
    pub(super) fn wake(&mut self, set: SetIndex, object: ObjectNumber) -> bool {
        let mut woken = false;
        for request in self.queue.iter_mut().filter(|r| r.is_for(set, object)) {
            woken |= core::mem::take(&mut request.waiting);
        }
        woken
    }

    /// Whether some request waits for an object.
    pub(super) fn waits_for(&self, set: SetIndex, object: ObjectNumber) -> bool {
        self.queue.iter().any(|r| r.waiting && r.is_for(set, object))
    }

    /// Bytes that requests ask for again and that were not sent yet.
    pub(super) fn repairs(&self) -> u64 {
        self.queue.iter().filter(|r| r.repair).map(|r| r.left).sum()
    }

    /// Takes out one request for an object, if there is one that is not held: that asks for it in its turn.
    pub(super) fn take_for(&mut self, set: SetIndex, object: ObjectNumber) -> Option<Queued> {
        let at = self.queue.iter().position(|r| r.is_for(set, object) && !r.is_held())?;
        Some(self.remove(at))
    }

    /// The ids of all requests.
    pub(super) fn ids(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.queue.iter().map(|r| r.id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// What it takes to send the rest of what is not held: its bytes, and a train for each range.
    pub(super) fn owed(&self) -> u64 {
        let ranges = self.ranges.len() - self.held.ranges;
        self.bytes - self.held.bytes + TRAIN_COST * ranges as u64
    }

    /// Whether some request could be served now.
    pub(super) fn has_work(&self) -> bool {
        self.queue.iter().any(Queued::is_ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut RequestQueue, id: u32, deadline: u64, ranges: &[Range<u32>]) -> bool {
        let at = Instant::from_nanos(deadline);
        let object = ObjectNumber(7);
        let frame = FrameHeader { set_handle: SetHandle::FIRST, object, offset: id, send_time: 0 };
        let request = Queued::new(&frame, SetIndex::FIRST, at, false);
        queue.push(request, ranges.iter().cloned(), 100)
    }

    #[test]
    fn a_request_is_clipped_to_its_object_and_ends() {
        let mut queue = RequestQueue::default();
        assert!(push(&mut queue, 1, 0, &[]) && push(&mut queue, 2, 0, &[5..9, 50..200, 300..400]));
        assert_eq!(queue.next_range(0, 100), Some(0..100));
        queue.sent_to(0, 60);
        assert_eq!(queue.next_range(0, 100), Some(60..100));
        queue.sent_to(0, 100);
        assert_eq!(queue.next_range(0, 100), None);
        assert_eq!(queue.next_range(1, 100), Some(5..9));
        queue.sent_to(1, 9);
        assert_eq!(queue.next_range(1, 100), Some(50..100));
        queue.sent_to(1, 100);
        assert_eq!(queue.next_range(1, 100), None);
        assert_eq!(queue.next_range(2, 100), None, "no such request");
    }

    #[test]
    fn the_most_urgent_goes_first_and_the_queue_is_bounded() {
        let mut queue = RequestQueue::default();
        assert!(push(&mut queue, 1, 50, &[]) && push(&mut queue, 2, 10, &[]));
        assert_eq!(queue.most_urgent(), Some(1));
        let many: Vec<_> = (0..64).map(|i| i * 10..i * 10 + 5).collect();
        let taken = (3..40).take_while(|&id| push(&mut queue, id, 0, &many)).count();
        assert_eq!(taken, (QUEUED_RANGES_MAX - 2) / 64);
    }

    #[test]
    fn a_request_that_leaves_takes_its_own_ranges_with_it() {
        let mut queue = RequestQueue::default();
        assert!(push(&mut queue, 1, 0, &[1..2, 3..4]) && push(&mut queue, 2, 0, &[5..6, 7..8]));
        assert!(push(&mut queue, 3, 0, &[]));
        assert_eq!(queue.next_range(1, 100), Some(5..6));
        queue.sent_to(1, 6);
        assert_eq!(queue.next_range(1, 100), Some(7..8));
        assert_eq!(queue.remove(1).id, RequestId(2));
        assert_eq!(queue.next_range(0, 100), Some(1..2));
        assert_eq!(queue.next_range(1, 100), Some(0..100));
        assert_eq!(queue.cancel(RequestId(1)).map(|request| request.id), Some(RequestId(1)));
        assert_eq!(queue.next_range(0, 100), Some(0..100));
        assert_eq!(queue.remove(0).id, RequestId(3));
        assert!(queue.is_empty() && queue.ranges.is_empty());
    }

    #[test]
    fn what_is_left_to_send_is_known_at_any_time() {
        let mut queue = RequestQueue::default();
        assert!(push(&mut queue, 1, 0, &[]) && push(&mut queue, 2, 0, &[90..200, 300..400]));
        assert_eq!((queue.len(), queue.bytes, queue.owed()), (2, 110, 110 + 3 * TRAIN_COST));
        queue.sent_to(0, 60);
        assert_eq!(queue.bytes, 50);
        assert_eq!(queue.next_range(1, 100), Some(90..100));
        queue.sent_to(1, 100);
        assert_eq!((queue.next_range(1, 100), queue.bytes), (None, 40));
        assert_eq!(queue.owed(), 40 + TRAIN_COST, "ranges that are sent cost nothing more");
        queue.remove(1);
        assert_eq!(queue.bytes, 40);
        queue.cancel(RequestId(1));
        assert_eq!((queue.len(), queue.owed()), (0, 0));
    }

    #[test]
    fn what_is_held_is_neither_sent_nor_owed_until_it_is_released() {
        let mut queue = RequestQueue::default();
        let ms = Duration::from_millis;
        let held = |id: u32, deadline: Duration, lead: Duration| {
            let object = ObjectNumber(id);
            let (set_handle, offset) = (SetHandle::FIRST, id);
            let frame = FrameHeader { set_handle, object, offset, send_time: 0 };
            Queued::new(&frame, SetIndex::FIRST, Instant::ZERO + deadline, false).held(lead)
        };
        for (id, deadline) in [(1, 9000), (2, 8000)] {
            assert!(queue.push(held(id, ms(deadline), ms(900)), core::iter::empty(), 100));
        }
        assert_eq!((queue.owed(), queue.has_work(), queue.most_urgent()), (0, false, None));
        assert_eq!(queue.next_release(), Some(Instant::ZERO + ms(7100)));
        assert!(push(&mut queue, 3, u64::MAX, &[]));
        assert_eq!((queue.owed(), queue.most_urgent()), (100 + TRAIN_COST, Some(2)));
        queue.release(1);
        queue.release(1);
        assert_eq!((queue.owed(), queue.most_urgent()), (200 + 2 * TRAIN_COST, Some(1)));
        assert!(queue.holds(SetIndex::FIRST, ObjectNumber(1)));
        assert!(!queue.holds(SetIndex::FIRST, ObjectNumber(2)));
        assert!(queue.take_for(SetIndex::FIRST, ObjectNumber(1)).is_none(), "it is held");
        assert_eq!(queue.cancel(RequestId(1)).map(|r| r.is_held()), Some(true));
        assert_eq!((queue.held, queue.next_release()), (Held::default(), None));
        assert_eq!(queue.owed(), 200 + 2 * TRAIN_COST);
    }

    #[test]
    fn a_lead_is_rounded_up_and_a_request_is_no_larger_for_it() {
        let frame = FrameHeader {
            set_handle: SetHandle::FIRST,
            object: ObjectNumber(1),
            offset: 1,
            send_time: 0,
        };
        let second = Instant::ZERO + Duration::from_secs(100);
        let until = |lead| {
            let request = Queued::new(&frame, SetIndex::FIRST, second, false).held(lead);
            second.saturating_since(request.hold_until())
        };
        assert_eq!(until(Duration::from_micros(1500)), Duration::from_millis(2));
        assert_eq!(until(Duration::ZERO), Duration::from_millis(1));
        assert_eq!(until(Duration::MAX), Duration::from_millis(u64::from(u16::MAX)));
        assert_eq!(size_of::<Queued>(), 48);
    }

    #[test]
    fn the_lists_never_grow() {
        let mut queue = RequestQueue::default();
        assert!(push(&mut queue, 1, 0, &[]));
        let room = (queue.queue.capacity(), queue.ranges.capacity());
        assert_eq!(room, (REQUESTS_MAX, QUEUED_RANGES_MAX));
        let many: Vec<_> = (0..60).map(|i| i * 10..i * 10 + 5).collect();
        for id in 2..1000 {
            if !push(&mut queue, id, 0, if id % 3 == 0 { &many } else { &[] }) {
                queue.remove(id as usize % queue.queue.len());
            }
        }
        assert_eq!(room, (queue.queue.capacity(), queue.ranges.capacity()));
    }
}
