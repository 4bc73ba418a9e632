//! What can be found out before a start, without taking anything from an edge that runs on the same box.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use segcast_config::Configuration;
use segcast_store::error::Damage;

use super::{StartError, admin_listener, build, groups, keyring, open_store, probe_session_log};
use crate::addresses;
use crate::config::Config;
use crate::keyfiles;

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The addresses that would be served.
    pub addresses: Vec<SocketAddr>,
    /// Those of them that are on no interface yet; the edge would start all the same.
    pub late: Vec<SocketAddr>,
    /// Parts of the store that would not be served; the edge would start all the same.
    pub damage: Vec<Damage>,
    /// Everything that keeps the edge from starting, in the order in which a start comes to it: it would fail with the first.
    pub problems: Vec<StartError>,
}

impl Checked {
    /// Takes what a start needs, or the reason why it is not to be had.
    fn note<T>(&mut self, found: Result<T, impl Into<StartError>>) -> Option<T> {
        found.map_err(|error| self.problems.push(error.into())).ok()
    }
}

/// Looks at everything that a start needs: keys, store, cores, driver, session log, addresses. It changes nothing; addresses are bound
/// for a moment, to see that they are free.
#[must_use]
pub fn check(config: &Config) -> Checked {
    let mut checked = Checked::default();
    checked.note(config.check(&BTreeMap::new()));
    checked.note(keyfiles::edge_secret(&config.key_file));
    checked.note(keyring(config));
    let store = checked.note(open_store(config));
    checked.damage = store.map_or_else(Vec::new, |store| store.damage().to_vec());
    checked.note(build::shards(config));
    checked.note(build::io(config));
    checked.note(admin_listener(config));
    checked.note(probe_session_log(&config.session_log));
    checked.note(groups::sending(config, 1));
    let addresses = checked.note(addresses::expand(&config.listen));
    checked.addresses = addresses.unwrap_or_default();
    for address in checked.addresses.clone() {
        let bound = build::bind_once(&[address], 1);
        let bound = checked.note(bound.map_err(StartError::Network));
        checked.late.extend(bound.into_iter().flat_map(|bound| bound.late));
    }
    checked
}

/// What `config` asks for beyond what this process may use, a sentence each: an edge starts all the same.
///
/// # Errors
/// [`StartError::System`] when the system does not say what that is.
pub fn excesses(config: &Config) -> Result<Vec<String>, StartError> {
    Ok(build::excesses(config, build::shards(config)?.len(), 0))
}
