//! The groups of one set: its secret, its channels with their addresses, and what its members are told.

use std::sync::Arc;

use rand_core::RngCore;

use super::OwnerConfig;
use super::addresses::Addresses;
use super::sender::Sender;
use crate::coalesce::Channel;
use crate::crypto::Suite;
use crate::limits::{EPOCH_PACKETS, GROUP_REPORT_MAX, GROUP_REPORT_MIN};
use crate::time::{Duration, Instant};
use crate::wire::{GroupKey, GroupSecret};

/// How long a secret is used (section 20.2) …
const EPOCH: Duration = Duration::from_secs(600);
/// … and how long before its use the next one is told.
const TOLD_BEFORE: Duration = Duration::from_secs(5);
/// A member reports so often for each who listens, within bounds (section 20.5).
const REPORT_EACH: Duration = Duration::from_millis(1);

/// The groups of an open set.
#[derive(Debug)]
pub(super) struct OpenSet {
    /// What all members are told.
    pub(super) key: Arc<GroupKey>,
    pub(super) senders: Vec<Sender>,
    /// What is sealed with.
    secret: GroupSecret,
    epoch: u8,
    epoch_ends: Instant,
    /// The next secret was told, and is used from then on.
    next: Option<(Instant, GroupSecret)>,
}

/// A secret that nobody can guess.
fn secret(random: &mut impl RngCore) -> GroupSecret {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    GroupSecret::new(bytes)
}

impl OpenSet {
    /// A set that has no channels yet.
    pub(super) fn new(now: Instant, config: &OwnerConfig, random: &mut impl RngCore) -> Self {
        let secret = secret(random);
        let key = GroupKey {
            epoch: 0,
            suite: Suite::Aes128Gcm as u8,
            report_interval_ms: GROUP_REPORT_MIN.as_millis() as u16,
            members: 0,
            secret: secret.clone(),
            source: config.source,
            port: config.port,
            channels: Vec::new(),
        };
        let (key, epoch_ends) = (Arc::new(key), now + EPOCH);
        Self { key, senders: Vec::new(), secret, epoch: 0, epoch_ends, next: None }
    }

    /// Has these channels from now on. One for which there is no address is left out.
    pub(super) fn set_channels(
        &mut self,
        now: Instant,
        channels: &[Channel],
        addresses: &mut Addresses,
        random: &mut impl RngCore,
    ) {
        self.senders.retain(|sender| {
            let stays = channels.iter().any(|channel| channel.id == sender.channel.id);
            if !stays {
                addresses.give_back(sender.number);
            }
            stays
        });
        for channel in channels {
            let is_known = |sender: &&mut Sender| sender.channel.id == channel.id;
            if let Some(sender) = self.senders.iter_mut().find(is_known) {
                sender.channel = *channel;
            } else if let Some(address) = addresses.take(random) {
                let (secret, epoch) = (&self.secret, self.epoch);
                self.senders.push(Sender::new(now, *channel, address, secret, epoch));
            }
        }
        self.senders.sort_unstable_by_key(|sender| sender.channel.first);
    }

    /// Tells members anew, of whom so many listen.
    pub(super) fn announce(&mut self, now: Instant, members: u32) {
        let (epoch, secret) = match &self.next {
            Some((_, secret)) => (self.epoch.wrapping_add(1), secret),
            None => (self.epoch, &self.secret),
        };
        let interval = REPORT_EACH.saturating_mul(members);
        let interval = interval.clamp(GROUP_REPORT_MIN, GROUP_REPORT_MAX);
        self.key = Arc::new(GroupKey {
            epoch,
            report_interval_ms: interval.as_millis() as u16,
            members,
            secret: secret.clone(),
            channels: self.senders.iter().map(Sender::described).collect(),
            ..(*self.key).clone()
        });
        self.senders.iter_mut().for_each(|sender| sender.is_announced(now));
    }

    /// Whether `members` are so many more or fewer than members were told that they must be told again.
    pub(super) fn is_changed(&self, members: u32) -> bool {
        let told = self.key.members;
        members != told && (members >= 2 * told || 2 * members <= told)
    }

    /// Draws and uses new secrets when it is time to. Says whether members must be told.
    pub(super) fn look_after_secret(&mut self, now: Instant, random: &mut impl RngCore) -> bool {
        if let Some((from, secret)) = self.next.take_if(|(from, _)| *from <= now) {
            self.epoch = self.epoch.wrapping_add(1);
            self.epoch_ends = from + EPOCH;
            self.senders.iter_mut().for_each(|sender| sender.rekey(&secret, self.epoch));
            self.secret = secret;
        }
        let is_worn = |sender: &Sender| sender.epoch_packets() >= EPOCH_PACKETS;
        let is_due = now >= self.epoch_ends || self.senders.iter().any(is_worn);
        if !is_due || self.next.is_some() {
            return false;
        }
        self.next = Some((now + TOLD_BEFORE, secret(random)));
        true
    }

    /// When the next probe of a channel goes.
    pub(super) fn probe_at(&self) -> Instant {
        let probes = self.senders.iter().map(|sender| sender.probe_at);
        probes.min().unwrap_or(Instant::FAR_FUTURE)
    }
}
