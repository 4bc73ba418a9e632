//! How many sessions a client has.

use std::collections::BTreeMap;

use crate::time::{Duration, Instant};

/// A client that was refused one more session wants it for so long: it comes again at least every 2.5 s.
const WANTED_FOR: Duration = Duration::from_secs(10);

/// Names a client while it has sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) struct ClientId(u32);

/// What is known of one client while it has sessions.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    open: u16,
    /// It was refused one more before this time.
    wants_more_until: Instant,
}

/// Open sessions by client. A session finds its client by key once, when it opens, and by number from then on.
#[derive(Debug, Default)]
pub(in crate::session::server) struct ClientCounts {
    by_key: BTreeMap<[u8; 32], ClientId>,
    clients: Vec<Client>,
    free: Vec<ClientId>,
}

impl ClientCounts {
    /// How many sessions `client` has.
    pub(super) fn of(&self, client: &[u8; 32]) -> u16 {
        self.by_key.get(client).map_or(0, |id| self.sharing(*id))
    }

    /// How many sessions share what this client was granted; at least 1.
    pub(in crate::session::server) fn sharing(&self, client: ClientId) -> u16 {
        self.clients.get(client.0 as usize).map_or(1, |client| client.open.max(1))
    }

    /// `client` was refused one more session, as it has too many.
    pub(in crate::session::server) fn refused(&mut self, client: &[u8; 32], now: Instant) {
        let Some(id) = self.by_key.get(client) else { return };
        self.clients[id.0 as usize].wants_more_until = now + WANTED_FOR;
    }

    /// Whether this client was refused one more session lately: then those of its sessions count that still live.
    pub(in crate::session::server) fn wants_more(&self, client: ClientId, now: Instant) -> bool {
        self.clients.get(client.0 as usize).is_some_and(|client| now < client.wants_more_until)
    }

    /// One more session of `client`.
    pub(in crate::session::server) fn add(&mut self, client: &[u8; 32]) -> ClientId {
        let next = ClientId(self.clients.len() as u32);
        let id = *self.by_key.entry(*client).or_insert_with(|| self.free.pop().unwrap_or(next));
        if id == next {
            self.clients.push(Client::default());
        }
        let client = &mut self.clients[id.0 as usize];
        client.open = client.open.saturating_add(1);
        id
    }

    /// One session less.
    pub(in crate::session::server) fn remove(&mut self, client: &[u8; 32]) {
        let Some(&id) = self.by_key.get(client) else { return };
        let known = &mut self.clients[id.0 as usize];
        known.open -= 1;
        if known.open == 0 {
            *known = Client::default();
            self.by_key.remove(client);
            self.free.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_sessions_takes_no_place() {
        let mut counts = ClientCounts::default();
        counts.add(&[1; 32]);
        counts.add(&[1; 32]);
        counts.remove(&[1; 32]);
        assert_eq!(counts.of(&[1; 32]), 1);
        counts.remove(&[1; 32]);
        assert!(counts.by_key.is_empty());
        counts.add(&[2; 32]);
        assert_eq!(counts.clients.len(), 1, "its number is given out again");
    }

    #[test]
    fn sessions_know_by_number_how_many_share_with_them() {
        let mut counts = ClientCounts::default();
        let (one, other) = (counts.add(&[1; 32]), counts.add(&[2; 32]));
        assert_eq!(counts.add(&[1; 32]), one);
        assert_eq!((counts.sharing(one), counts.sharing(other)), (2, 1));
        counts.remove(&[1; 32]);
        assert_eq!((counts.sharing(one), counts.of(&[1; 32])), (1, 1));
    }

    #[test]
    fn who_was_refused_wants_more_for_a_while_and_while_it_has_sessions() {
        let (mut counts, now) = (ClientCounts::default(), Instant::ZERO);
        let (one, other) = (counts.add(&[1; 32]), counts.add(&[2; 32]));
        counts.refused(&[1; 32], now);
        counts.refused(&[3; 32], now);
        assert!(counts.wants_more(one, now) && !counts.wants_more(other, now));
        assert!(!counts.wants_more(one, now + WANTED_FOR));
        counts.remove(&[1; 32]);
        assert_eq!(counts.add(&[3; 32]), one);
        assert!(!counts.wants_more(one, now), "its number is another's now");
    }
}
