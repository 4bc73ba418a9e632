//! What can be found out before a start, without taking anything from an edge that runs on the same box.

use std::net::SocketAddr;

use segcast_config::Configuration;

use super::{StartError, build, keyring};
use crate::addresses;
use crate::config::Config;
use crate::keyfiles;

/// Reads the keys, lists the addresses and tries the driver that `config` asks for. It binds nothing, and does not
/// open the store, which may belong to a running edge. Returns the addresses that would be served.
///
/// # Errors
/// What [`super::Server::start`] would fail with.
pub fn check(config: &Config) -> Result<Vec<SocketAddr>, StartError> {
    config.check(&std::collections::BTreeMap::new())?;
    keyfiles::edge_secret(&config.key_file)?;
    keyring(config)?;
    build::io(config)?;
    Ok(addresses::expand(&config.listen)?)
}

/// What `config` asks for beyond what this process may use, a sentence each: an edge starts all the same.
///
/// # Errors
/// [`StartError::System`] when the system does not say what that is.
pub fn excesses(config: &Config) -> Result<Vec<String>, StartError> {
    Ok(build::excesses(config, build::shards(config)?.len(), 0))
}
