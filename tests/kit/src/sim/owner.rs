//! The owner of a set's groups as the shards see it, when nobody sends anything to a group: it opens the groups, and of
//! each segment that is wanted it says nothing, or that it stays alone, or, wrongly, that it begins.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::coalesce::Note;
use segcast_proto::ids::{ChannelId, SetId};
use segcast_proto::session::client::groups::NumberedReport;
use segcast_proto::session::client::{ClientSession, FetchError, GroupEvent};
use segcast_proto::session::server::Endpoint;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::group_report::WINDOW_ALL;
use segcast_proto::wire::{ChannelReport, ChannelState, GroupChannel, GroupKey, GroupReport};

/// How often a client would have to say that it listens: no run takes so long.
const INTERVAL_MS: u16 = 60_000;
/// When what was promised and did not come is needed.
const REPAIR: Duration = Duration::from_millis(500);

/// See above.
pub(super) struct Owner {
    key: Arc<GroupKey>,
    rng: ChaCha20Rng,
}

impl Owner {
    pub(super) fn new(segments: u32, seed: u64) -> Self {
        let (id, group) = (ChannelId::new(1, 0), [232, 1, 1, 1].into());
        let channel = GroupChannel { id, group, first: 0, end: segments, pace_kbit: 1000 };
        let key = GroupKey {
            report_interval_ms: INTERVAL_MS,
            port: 1,
            channels: vec![channel],
            ..GroupKey::closed()
        };
        Self { key: Arc::new(key), rng: ChaCha20Rng::seed_from_u64(seed ^ 0x0E_4A55E) }
    }

    /// Reads the notes of a shard and answers.
    pub(super) fn answer(&mut self, now: Instant, shard: &mut Endpoint) {
        while let Some((set, note)) = shard.poll_note() {
            match note {
                Note::Hears { .. } => shard.set_groups(now, set, Some(Arc::clone(&self.key))),
                Note::Want { segment, .. } => self.decide(now, shard, set, segment),
                _ => {}
            }
        }
    }

    fn decide(&mut self, now: Instant, shard: &mut Endpoint, set: SetId, segment: u32) {
        match self.rng.next_u32() % 4 {
            0 => shard.group_alone(now, set, segment),
            1 => shard.group_begun(now, set, segment),
            _ => {}
        }
    }
}

/// A client that says that it listens wherever it is invited, hears nothing, and asks anew for what it was promised.
///
/// # Errors
/// What the session does not take.
pub(super) fn listen(
    session: &mut ClientSession,
    now: Instant,
    segment_bytes: usize,
) -> Result<(), FetchError> {
    while let Some(event) = session.poll_group_event() {
        match event {
            GroupEvent::Key { handle, serial, key } => {
                session.send_group_report(handle, report(serial, &key));
            }
            GroupEvent::Promised { handle, object } => {
                let mut bytes = vec![0; segment_bytes];
                let have = Default::default();
                session.fetch_rest(now, handle, object, &mut bytes, have, REPAIR)?;
            }
        }
    }
    Ok(())
}

fn report(serial: u32, key: &GroupKey) -> NumberedReport {
    let state = ChannelState::Listening;
    let channel = |c: &GroupChannel| ChannelReport { id: c.id, state, loss: 0, verified: 0 };
    let channels = key.channels.iter().map(channel).collect();
    let report = GroupReport { serial, rate_kbit: 1000, window: WINDOW_ALL, channels };
    NumberedReport { number: serial, position: 0, report }
}
