//! GROUP_KEY: what the server announces, and whether the client goes along (section 20.1).

use super::channel::Channel;
use super::{Groups, GroupsEvent, Refusal, Route};
use crate::crypto::Suite;
use crate::rate::Rate;
use crate::time::Instant;
use crate::wire::group_key::{GroupKey, is_source_specific};

impl Groups {
    /// Takes in a GROUP_KEY of this set. One that is no newer than what is known is only acknowledged.
    pub fn on_group_key(&mut self, now: Instant, serial: u32, key: &GroupKey) {
        self.reporting.soon(now);
        if serial <= self.serial {
            return;
        }
        self.serial = serial;
        self.members = key.members;
        self.reporting.set_interval(key.report_interval_ms);
        match self.check(key) {
            Ok(suite) => self.take_channels(now, key, suite),
            Err(refusal) => {
                self.stats.refused += 1;
                self.leave_all();
                self.events.push_back(GroupsEvent::Refused(refusal));
            }
        }
        self.choose_channels(now);
    }

    /// Whether the client may join what the server announces.
    fn check(&self, key: &GroupKey) -> Result<Suite, Refusal> {
        let suite = Suite::try_from(key.suite).map_err(|_| Refusal::Suite(key.suite))?;
        if key.channels.is_empty() {
            return Ok(suite);
        }
        if !self.config.sources.contains(&key.source) {
            return Err(Refusal::Source(key.source));
        }
        for channel in &key.channels {
            let group = channel.group;
            if !is_source_specific(group) {
                return Err(Refusal::NotSourceSpecific(group));
            }
            if group.is_ipv4() != key.source.is_ipv4() {
                return Err(Refusal::Family { group, source_address: key.source });
            }
        }
        Ok(suite)
    }

    /// Goes over to the channels of `key`: one that is known keeps its state.
    fn take_channels(&mut self, now: Instant, key: &GroupKey, suite: Suite) {
        let mut before = core::mem::take(&mut self.channels);
        for info in &key.channels {
            let route = Route { source: key.source, group: info.group, port: key.port };
            let known = before.iter().position(|c| c.info.id == info.id && c.route == route);
            let mut channel = match known {
                Some(at) => before.swap_remove(at),
                None => Channel::new(*info, route),
            };
            channel.announce(now, *info);
            channel.opener.learn(now, key.epoch, suite, &key.secret);
            self.channels.push(channel);
        }
        let left = before.iter().filter(|channel| channel.is_joined());
        self.events.extend(left.map(|channel| GroupsEvent::Leave(channel.route)));
        let slowest = self.channels.iter().min_by_key(|channel| channel.info.pace_kbit);
        if let Some(slowest) = slowest.filter(|slowest| slowest.info.pace() > self.config.rate) {
            let refusal = Refusal::Rate { pace_kbit: slowest.info.pace_kbit };
            self.stats.refused += 1;
            self.events.push_back(GroupsEvent::Refused(refusal));
        }
    }

    fn leave_all(&mut self) {
        for channel in self.channels.drain(..).filter(Channel::is_joined) {
            self.events.push_back(GroupsEvent::Leave(channel.route));
        }
    }

    /// What the client accepts from groups, as a report says it: nothing, where it hears none.
    pub(super) fn accepted_kbit(&self) -> u32 {
        if self.channels.is_empty() || self.config.rate == Rate::ZERO {
            return 0;
        }
        u32::try_from(self.config.rate.bytes_per_second() / 125).unwrap_or(u32::MAX)
    }
}
