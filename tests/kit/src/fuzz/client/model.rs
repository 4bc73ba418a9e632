//! What a client session was asked for and given, kept the simple way.

use std::collections::{BTreeMap, BTreeSet};

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::{MANIFEST_PAGE_MAX, MANIFEST_ROOT_MAX, SEGMENT_MAX};
use segcast_proto::session::client::{ClientEvent, ClientSession, FetchError};
use segcast_proto::wire::{FLAG_END, FrameHeader, Request};

/// Set handle and number.
pub(super) type Key = (SetHandle, ObjectNumber);

/// One object as it should look.
#[derive(Default)]
pub(super) struct Wanted {
    /// As it was fetched with.
    told: Option<u32>,
    /// That, or what END said.
    len: Option<u32>,
    bytes: Vec<u8>,
    /// One past the last byte that came.
    end: usize,
}

/// All of it.
#[derive(Default)]
pub(super) struct Model {
    pub(super) wanted: BTreeMap<Key, Wanted>,
    pub(super) challenges: BTreeSet<[u8; 8]>,
    pub(super) pulses: u64,
    refusals: u64,
}

fn len_max(object: ObjectNumber) -> usize {
    match object.as_page() {
        None => SEGMENT_MAX,
        Some(0) => MANIFEST_ROOT_MAX,
        Some(_) => MANIFEST_PAGE_MAX,
    }
}

impl Model {
    /// A fetch was tried.
    pub(super) fn fetched(&mut self, key: Key, len: Option<u32>, answer: Result<(), FetchError>) {
        match answer {
            Ok(()) => {
                let bytes = vec![0; len.unwrap_or(0) as usize];
                let wanted = Wanted { told: len, len, bytes, end: 0 };
                let before = self.wanted.insert(key, wanted);
                assert!(before.is_none(), "fetched twice at once");
            }
            Err(FetchError::Duplicate) => assert!(self.wanted.contains_key(&key)),
            Err(FetchError::Full) => assert_eq!(self.wanted.len(), 64),
            Err(FetchError::TooLong { .. }) => assert!(len.unwrap_or(0) as usize > len_max(key.1)),
            Err(FetchError::Ended) => {}
        }
    }

    /// DATA was taken.
    pub(super) fn data(&mut self, frame: &FrameHeader, payload: &[u8], flags: u8) {
        let key = (frame.set_handle, frame.object);
        let Some(wanted) = self.wanted.get_mut(&key) else { return };
        let limit = wanted.len.map_or(len_max(key.1), |len| len as usize);
        let start = frame.offset as usize;
        let stop = start + payload.len();
        if stop > limit {
            return;
        }
        if wanted.bytes.len() < stop {
            wanted.bytes.resize(stop, 0);
        }
        wanted.bytes[start..stop].copy_from_slice(payload);
        if flags & FLAG_END != 0 && wanted.len.is_none() {
            wanted.len = Some(stop.max(wanted.end) as u32);
        }
        if start < stop {
            wanted.end = wanted.end.max(stop);
        }
    }

    /// A REFUSE was taken.
    pub(super) fn refused_may_come(&mut self) {
        self.refusals += 1;
    }

    /// The client asked for something: it must be what it wants, within the length it was told.
    pub(super) fn requested(&mut self, frame: &FrameHeader, request: &Request) {
        let wanted = self.wanted.get(&(frame.set_handle, frame.object));
        let told = wanted.expect("asked for what is not wanted").told;
        if let (Some(len), Some(last)) = (told, request.ranges.last()) {
            assert!(last.end <= len, "asked beyond the end");
        }
    }

    /// Something happened.
    pub(super) fn event(&mut self, event: &ClientEvent, session: &ClientSession) {
        match event {
            ClientEvent::Object(fetched) => {
                let wanted = self.wanted.remove(&(fetched.handle, fetched.object));
                let wanted = wanted.expect("an object that was fetched");
                let len = wanted.len.expect("its length is known when it is complete");
                assert_eq!(fetched.bytes.len(), len as usize);
                assert!(fetched.bytes == wanted.bytes[..len as usize], "other bytes than came");
                assert!(fetched.asked <= fetched.first_byte);
                assert!(fetched.first_byte <= fetched.complete);
            }
            ClientEvent::ObjectRefused { handle, object, .. } => {
                assert!(self.wanted.remove(&(*handle, *object)).is_some(), "refused, not wanted");
                self.refusals = self.refusals.checked_sub(1).expect("a REFUSE came");
            }
            ClientEvent::Refused { .. } | ClientEvent::TimedOut | ClientEvent::Closed { .. } => {
                assert!(session.has_ended());
            }
            ClientEvent::Open | ClientEvent::PulseReply { .. } | ClientEvent::Unresponsive => {}
        }
    }
}
