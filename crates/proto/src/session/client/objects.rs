//! Reassembly: the objects being fetched, what of them has arrived, what is missing.

use core::ops::Range;
use std::collections::{BTreeMap, VecDeque};

use super::config::{FetchError, Fetched};
use crate::faults::{Fault, planted};
use crate::ids::{ObjectNumber, SetHandle};
use crate::limits::{
    MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX, RANGES_MAX, REQUESTS_MAX, SEGMENT_MAX, SYMBOL,
};
use crate::session::ranges::RangeSet;
use crate::time::Instant;
use crate::wire::ranges::ByteRanges;

/// Names an object in a session: set handle and number.
pub(super) type Key = (SetHandle, ObjectNumber);

/// One object being fetched.
#[derive(Debug)]
pub(super) struct Object {
    /// Known for segments; for pages only after DATA with END.
    len: Option<u32>,
    bytes: Vec<u8>,
    have: RangeSet,
    /// A group may bring it.
    pub(super) hears: bool,
    pub(super) deadline: Instant,
    asked: Instant,
    first_byte: Option<Instant>,
}

/// What a piece of DATA changed.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) new: u32,
    pub(super) duplicate: u32,
    /// It would have left the object in more pieces than any loss does.
    pub(super) scattered: bool,
    pub(super) complete: Option<Box<Fetched>>,
}

/// The objects of one session; at most [`REQUESTS_MAX`].
#[derive(Debug, Default)]
pub(super) struct Objects {
    objects: BTreeMap<Key, Object>,
    /// Given up last, [`REQUESTS_MAX`] of them: what still comes of these had not come before.
    given_up: VecDeque<Key>,
}

/// Pieces of an object of `len` bytes: as many as it has datagrams of the least size (section 11), twice what is there when
/// every second one was lost. Only who sends less than a symbol at a time needs more.
fn pieces_max(len: usize) -> usize {
    len / SYMBOL + 1
}

/// The most bytes an object with this number can have.
fn len_max(object: ObjectNumber) -> usize {
    match object.as_page() {
        None => SEGMENT_MAX,
        Some(0) => MANIFEST_ROOT_MAX,
        Some(_) => MANIFEST_PAGE_MAX,
    }
}

impl Objects {
    /// Begins one. `len`: its length where the manifest says it.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        key: Key,
        len: Option<u32>,
        deadline: Instant,
    ) -> Result<(), FetchError> {
        self.check(&key, len)?;
        self.insert(now, key, len, vec![0; len.unwrap_or(0) as usize], deadline);
        Ok(())
    }

    /// Begins one of `bytes.len()` bytes, into `bytes`, which it takes.
    pub(super) fn begin_into(
        &mut self,
        now: Instant,
        key: Key,
        bytes: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<(), FetchError> {
        let len = Some(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.check(&key, len)?;
        self.insert(now, key, len, core::mem::take(bytes), deadline);
        Ok(())
    }

    /// Begins one of `bytes.len()` bytes, of which `have` is in `bytes` already.
    pub(super) fn begin_rest(
        &mut self,
        now: Instant,
        key: Key,
        bytes: &mut Vec<u8>,
        have: RangeSet,
        deadline: Instant,
    ) -> Result<(), FetchError> {
        self.begin_into(now, key, bytes, deadline)?;
        if let Some(object) = self.objects.get_mut(&key) {
            object.have = have;
        }
        Ok(())
    }

    /// A group may bring this one.
    pub(super) fn let_hear(&mut self, key: &Key) {
        if let Some(object) = self.objects.get_mut(key) {
            object.hears = true;
        }
    }

    /// Forgets one that a group may bring and of which nothing has come. Says whether it was one.
    pub(super) fn forget_promised(&mut self, key: &Key) -> bool {
        let is_promised = |object: &Object| object.hears && object.have.is_empty();
        self.get(key).is_some_and(is_promised) && self.remove(key)
    }

    fn check(&self, key: &Key, len: Option<u32>) -> Result<(), FetchError> {
        let max = len_max(key.1) as u32;
        if let Some(len) = len.filter(|&len| len > max) {
            return Err(FetchError::TooLong { len, max });
        }
        if self.objects.contains_key(key) {
            return Err(FetchError::Duplicate);
        }
        if self.objects.len() >= REQUESTS_MAX {
            return Err(FetchError::Full);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        now: Instant,
        key: Key,
        len: Option<u32>,
        bytes: Vec<u8>,
        deadline: Instant,
    ) {
        self.given_up.retain(|given_up| *given_up != key);
        let (have, hears, first_byte) = (RangeSet::default(), false, None);
        let object = Object { len, bytes, have, hears, deadline, asked: now, first_byte };
        self.objects.insert(key, object);
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(super) fn remove(&mut self, key: &Key) -> bool {
        self.objects.remove(key).is_some()
    }

    /// Removes one that nobody wants any more.
    pub(super) fn give_up(&mut self, key: &Key) {
        if self.remove(key) {
            self.given_up.truncate(REQUESTS_MAX - 1);
            self.given_up.push_front(*key);
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.objects.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Takes in DATA. Bytes outside of the object, or of one not asked for, change nothing.
    pub(super) fn take(
        &mut self,
        now: Instant,
        key: &Key,
        offset: u32,
        payload: &[u8],
        end: bool,
    ) -> Taken {
        let (start, size) = (offset as usize, payload.len());
        let Some(object) = self.objects.get_mut(key) else {
            let known = !self.given_up.contains(key);
            return Taken { duplicate: if known { size as u32 } else { 0 }, ..Taken::default() };
        };
        let limit = object.len.map_or(len_max(key.1), |len| len as usize);
        let Some(stop) = start.checked_add(size).filter(|&stop| stop <= limit) else {
            return Taken::default();
        };
        let Some(new) = object.have.insert(offset..stop as u32, pieces_max(limit)) else {
            return Taken { scattered: true, ..Taken::default() };
        };
        // Nothing far out is no byte of the object: its length may turn out to be less.
        if size > 0 && object.bytes.len() < stop {
            object.bytes.resize(stop, 0);
        }
        let early = usize::from(start > 0 && planted(Fault::OffsetWrong));
        if let Some(to) = object.bytes.get_mut(start - early..stop - early) {
            to.copy_from_slice(payload);
        }
        if end && object.len.is_none() {
            object.len = Some((stop as u32).max(object.have.end()));
        }
        object.first_byte.get_or_insert(now);
        let mut taken = Taken { new, duplicate: size as u32 - new, ..Taken::default() };
        if object.len.is_some_and(|len| object.have.covers(len)) {
            taken.complete = self.finish(now, key);
        }
        taken
    }

    fn finish(&mut self, now: Instant, key: &Key) -> Option<Box<Fetched>> {
        let object = self.objects.remove(key)?;
        Some(Box::new(Fetched {
            handle: key.0,
            object: key.1,
            bytes: object.bytes,
            asked: object.asked,
            first_byte: object.first_byte.unwrap_or(now),
            complete: now,
        }))
    }
}

impl Object {
    /// What is missing, as the ranges of one REQUEST; no range means all of it. What does not fit is for a
    /// later one.
    pub(super) fn missing(&self) -> ByteRanges {
        let mut ranges = ByteRanges::WHOLE;
        if self.have.is_empty() {
            return ranges;
        }
        // Without a known length the tail is open: the server clips it.
        for range in self.have.missing(self.len.unwrap_or(u32::MAX)).take(RANGES_MAX) {
            if !ranges.push(range) {
                break;
            }
        }
        ranges
    }

    /// What `ranges` ask for, as far as the length is known, and whether each reaches to the end. An open end is an
    /// empty range.
    pub(super) fn asked<'a>(
        &self,
        ranges: &'a ByteRanges,
    ) -> impl Iterator<Item = (Range<u32>, bool)> + 'a {
        let len = self.len.unwrap_or(self.have.end());
        let whole = ranges.is_empty().then_some(0..len);
        let clipped = move |range: Range<u32>| range.start..range.end.min(len).max(range.start);
        ranges.iter().map(clipped).chain(whole).map(move |range| (range.clone(), range.end >= len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (SetHandle::FIRST, ObjectNumber(3));
    const PAGE: Key = (SetHandle::FIRST, ObjectNumber::page(0));

    fn begun(key: Key, len: Option<u32>) -> Objects {
        let mut objects = Objects::default();
        objects.begin(Instant::ZERO, key, len, Instant::ZERO).expect("room");
        objects
    }

    #[test]
    fn bytes_lent_for_an_object_come_back_with_it_and_without_a_trace_of_the_one_before() {
        let mut objects = Objects::default();
        let mut lent = vec![7; 10];
        let place = lent.as_ptr();
        objects.begin_into(Instant::ZERO, KEY, &mut lent, Instant::ZERO).expect("room");
        assert!(lent.is_empty());
        let mut second = vec![7; 10];
        let twice = objects.begin_into(Instant::ZERO, KEY, &mut second, Instant::ZERO);
        assert!(matches!(twice, Err(FetchError::Duplicate)));
        assert_eq!(second.len(), 10, "it is not taken for what is not begun");
        assert!(objects.take(Instant::ZERO, &KEY, 0, &[0; 9], false).complete.is_none());
        let done = objects.take(Instant::ZERO, &KEY, 9, &[9], true).complete.expect("all of it");
        assert_eq!(done.bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(done.bytes.as_ptr(), place);
    }

    #[test]
    fn what_was_heard_is_not_missing() {
        let (mut objects, mut heard) = (Objects::default(), vec![7; 10]);
        let mut have = RangeSet::default();
        assert!(have.insert(0..4, 9).is_some() && have.insert(6..10, 9).is_some());
        objects.begin_rest(Instant::ZERO, KEY, &mut heard, have, Instant::ZERO).expect("room");
        let missing: Vec<_> = objects.get(&KEY).expect("there").missing().iter().collect();
        assert_eq!((missing.len(), &missing[0]), (1, &(4..6)));
        let done = objects.take(Instant::ZERO, &KEY, 4, &[1, 2], false).complete;
        assert_eq!(done.expect("all of it").bytes, [7, 7, 7, 7, 1, 2, 7, 7, 7, 7]);
    }

    #[test]
    fn only_an_object_that_a_group_may_bring_and_of_which_nothing_came_is_promised() {
        let mut objects = begun(KEY, Some(10));
        assert!(!objects.forget_promised(&KEY));
        objects.let_hear(&KEY);
        assert!(objects.forget_promised(&KEY) && !objects.forget_promised(&KEY));
        let mut objects = begun(KEY, Some(10));
        objects.let_hear(&KEY);
        objects.take(Instant::ZERO, &KEY, 0, &[1], false);
        assert!(!objects.forget_promised(&KEY));
    }

    #[test]
    fn an_empty_datagram_far_out_makes_an_object_no_longer() {
        let mut objects = begun(KEY, None);
        assert!(objects.take(Instant::ZERO, &KEY, 500, &[], false).complete.is_none());
        let done = objects.take(Instant::ZERO, &KEY, 0, &[1; 10], true).complete;
        assert_eq!(done.expect("all of it").bytes, [1; 10]);
    }

    #[test]
    fn a_segment_is_complete_when_all_of_it_came_in_any_order() {
        let mut objects = begun(KEY, Some(10));
        assert_eq!(objects.take(Instant::ZERO, &KEY, 6, &[6, 7, 8, 9], true).new, 4);
        assert_eq!(objects.take(Instant::ZERO, &KEY, 4, &[4, 5, 6], false).duplicate, 1);
        let missing: Vec<_> = objects.get(&KEY).expect("there").missing().iter().collect();
        assert_eq!((missing.len(), &missing[0]), (1, &(0..4)));
        let done = objects.take(Instant::ZERO, &KEY, 0, &[0, 1, 2, 3], false).complete;
        assert_eq!(done.expect("complete").bytes, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn a_page_learns_its_length_from_end() {
        let mut objects = begun(PAGE, None);
        objects.take(Instant::ZERO, &PAGE, 2, &[2], true);
        let done = objects.take(Instant::ZERO, &PAGE, 0, &[0, 1], false).complete;
        assert_eq!(done.expect("complete").bytes, [0, 1, 2]);
    }

    #[test]
    fn what_comes_of_a_given_up_object_is_no_duplicate() {
        let mut objects = begun(KEY, Some(10));
        objects.give_up(&KEY);
        assert_eq!(objects.take(Instant::ZERO, &KEY, 0, &[1, 2], false).duplicate, 0);
        objects.begin(Instant::ZERO, KEY, Some(2), Instant::ZERO).expect("room");
        assert!(objects.take(Instant::ZERO, &KEY, 0, &[1, 2], true).complete.is_some());
        assert_eq!(objects.take(Instant::ZERO, &KEY, 0, &[1, 2], true).duplicate, 2);
    }

    #[test]
    fn bytes_beyond_the_object_change_nothing() {
        let mut objects = begun(KEY, Some(10));
        assert_eq!(objects.take(Instant::ZERO, &KEY, 8, &[1, 2, 3], true).new, 0);
        assert_eq!(objects.take(Instant::ZERO, &KEY, u32::MAX, &[1], true).new, 0);
        let mut pages = begun(PAGE, None);
        let far = MANIFEST_ROOT_MAX as u32;
        assert_eq!(pages.take(Instant::ZERO, &PAGE, far, &[1], true).new, 0);
    }
}
