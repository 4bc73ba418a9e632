//! What the shards of an edge that sends to groups have beside the others, from its configuration.

use std::io;
use std::net::IpAddr;

use segcast_proto::coalesce::CoalescerConfig;
use segcast_proto::owner::{GroupRange, OwnerConfig};
use segcast_sysio::SysError;
use segcast_sysio::udp::multicast::{GroupSending, Interface};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

use super::StartError;
use crate::config::{Config, Multicast, MulticastGroups, MulticastSource};
use crate::limits;

/// The most addresses of a range that are used: far more than an edge has channels.
const GROUPS_MAX: u64 = 1 << 24;

/// One shard's part.
pub(super) struct Sending {
    /// Sends to groups.
    pub(super) socket: UdpSocket,
    pub(super) owner: OwnerConfig,
}

/// The part of each shard; none where the edge sends to no groups.
///
/// # Errors
/// When the interface or its address is not there.
pub(super) fn sending(config: &Config, shards: u8) -> Result<Vec<Sending>, StartError> {
    let (Multicast::On, MulticastGroups::Range(range)) =
        (config.multicast, config.multicast_groups)
    else {
        return Ok(Vec::new());
    };
    let name = &config.multicast_interface.0;
    let interface = Interface::named(name).map_err(StartError::Network)?;
    let source = match config.multicast_source {
        MulticastSource::Address(source) => source,
        MulticastSource::Auto => {
            first_address(name, range.is_ipv4()).map_err(StartError::Network)?
        }
    };
    let hops = u8::try_from(config.multicast_ttl).unwrap_or(u8::MAX);
    // Members on this machine would each get a copy beside what the network gives them: they are for tests on the loopback,
    // which has but one way.
    let options = GroupSending { interface, hops, looped: false };
    let udp = UdpConfig { send_buffer_bytes: limits::SOCKET_SEND_BYTES, ..UdpConfig::default() };
    let groups = GroupRange {
        first: range.group(0),
        count: u32::try_from(range.count().min(GROUPS_MAX)).unwrap_or(u32::MAX),
    };
    let part = |shard| {
        let socket = UdpSocket::bind_group_sender(source, &options, &udp);
        let coalescer = coalescer(config, shard, shards);
        let port = config.multicast_port;
        let owner = OwnerConfig { coalescer, shards, groups, source, port };
        socket.map(|socket| Sending { socket, owner }).map_err(StartError::Network)
    };
    let parts: Vec<Sending> = (0..shards).map(part).collect::<Result<_, _>>()?;
    tracing::info!(%source, groups = %range, interface = name, "segments may go to groups");
    Ok(parts)
}

/// A shard's equal part of what the edge may use.
fn coalescer(config: &Config, shard: u8, shards: u8) -> CoalescerConfig {
    let parts = usize::from(shards.max(1));
    CoalescerConfig {
        shard,
        channels: usize::from(config.multicast_channels).div_ceil(parts),
        members: limits::GROUP_MEMBERS.div_ceil(parts),
        rate: config.multicast_rate.rate().shared_by(shards.max(1).into()),
        channel_rate: config.multicast_channel_rate.rate(),
        bulk_rate: config.multicast_bulk_rate.rate(),
    }
}

/// The interface's first address of the family that members can be told.
fn first_address(interface: &str, is_ipv4: bool) -> Result<IpAddr, SysError> {
    let failed = |error| {
        let family = if is_ipv4 { "IPv4" } else { "IPv6" };
        SysError::new(format!("find an {family} address of the interface {interface}"), error)
            .with_hint("or name one: multicast_source")
    };
    let all = if_addrs::get_if_addrs().map_err(failed)?;
    let fits = |ip: &IpAddr| match ip {
        IpAddr::V4(_) => is_ipv4,
        // What is link-local means something else to who is told it.
        IpAddr::V6(ip) => !is_ipv4 && !ip.is_unicast_link_local(),
    };
    let own = all.into_iter().filter(|found| found.name == interface).map(|found| found.ip());
    let none = || failed(io::Error::from(io::ErrorKind::AddrNotAvailable));
    own.into_iter().find(fits).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use segcast_config::{Field, Value};
    use segcast_proto::rate::Rate;

    use super::*;
    use crate::config::{BitRate, InterfaceName};

    fn config(groups: &str) -> Config {
        let groups = MulticastGroups::read(&Value::Text(groups.to_owned())).expect("a range");
        Config {
            multicast: Multicast::On,
            multicast_interface: InterfaceName("lo".to_owned()),
            multicast_groups: groups,
            multicast_rate: BitRate(80_000_000),
            ..Config::default()
        }
    }

    #[test]
    fn every_shard_has_a_socket_on_the_interface_and_its_equal_part() {
        let parts = sending(&config("232.77.0.0/16"), 4).expect("the loopback");
        assert_eq!(parts.len(), 4);
        for (shard, Sending { socket, owner }) in parts.iter().enumerate() {
            assert_eq!(socket.local_addr().ip(), IpAddr::from([127, 0, 0, 1]));
            assert_eq!(owner.source, IpAddr::from([127, 0, 0, 1]));
            assert_eq!(usize::from(owner.coalescer.shard), shard);
            assert_eq!((owner.coalescer.channels, owner.coalescer.members), (64, 1 << 14));
            assert_eq!(owner.coalescer.rate, Rate::new(2_500_000));
            assert_eq!(owner.groups, GroupRange { first: [232, 77, 0, 0].into(), count: 1 << 16 });
        }
        let wide = sending(&config("ff3e::/96"), 1).expect("the loopback");
        assert_eq!((wide[0].owner.groups.count, wide[0].owner.source.is_ipv6()), (1 << 24, true));
    }

    #[test]
    fn an_edge_that_sends_to_no_groups_opens_nothing() {
        let config = Config { multicast: Multicast::DryRun, ..config("232.77.0.0/16") };
        assert!(sending(&config, 2).expect("nothing to do").is_empty());
    }

    #[test]
    fn an_address_that_is_not_there_is_named() {
        let missing = "192.0.2.1".parse().expect("an address");
        let config = Config {
            multicast_source: MulticastSource::Address(missing),
            ..config("232.77.0.0/16")
        };
        let error = sending(&config, 1).map(|_| ()).expect_err("on no interface").to_string();
        assert!(error.contains("192.0.2.1"), "{error}");
    }
}
