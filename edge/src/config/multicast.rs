//! The keys of multicast: which groups, where they leave, and what a start can know of them.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use segcast_config::amount::{read_bit_rate, show_bit_rate};
use segcast_config::{Field, Problem, Value, words};
use segcast_proto::rate::Rate;
use segcast_sysio::udp::multicast::Interface;

use super::Config;

/// Whether segments go to groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multicast {
    /// Everything by unicast.
    Off,
    /// Everything by unicast; what groups would have saved is reckoned and told.
    DryRun,
    /// As groups save bytes.
    On,
}

words!(
    Multicast,
    "off" => Multicast::Off,
    "dry-run" => Multicast::DryRun,
    "on" => Multicast::On,
);

/// The name of an interface; empty: none was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceName(pub String);

impl Field for InterfaceName {
    fn read(value: &Value) -> Result<Self, Problem> {
        let text = value.text("an interface", "eth0")?;
        // IFNAMSIZ with its zero (netdevice(7)).
        if text.len() > 15 || text.contains(['/', ' ', '"', '\\']) {
            return Err(Problem::new("no interface has such a name; `ip link` lists them"));
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// The address that group datagrams come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MulticastSource {
    /// The first of the interface, of the groups' family.
    Auto,
    /// This one.
    Address(IpAddr),
}

impl Field for MulticastSource {
    fn read(value: &Value) -> Result<Self, Problem> {
        let right = "\"auto\", or an address of the interface such as \"192.0.2.1\", is expected";
        match value.text("an address", "192.0.2.1")? {
            "auto" => Ok(Self::Auto),
            text => match text.parse::<IpAddr>() {
                Ok(ip) if !ip.is_multicast() && !ip.is_unspecified() => Ok(Self::Address(ip)),
                _ => Err(Problem::new(right)),
            },
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "\"auto\"".to_owned(),
            Self::Address(ip) => format!("\"{ip}\""),
        }
    }
}

/// A range of source-specific groups (RFC 4607): what of 232.0.0.0/8 or ff3x::/96 has the first bits of its first group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRange {
    first: IpAddr,
    /// Bits of an address that the groups do not share, at most 32.
    free_bits: u8,
}

impl GroupRange {
    /// Whether its groups, and so the addresses that send to them, are IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// How many groups it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        1 << self.free_bits
    }

    /// Group number `number`, counted from 0 and again from there.
    #[must_use]
    pub fn group(&self, number: u32) -> IpAddr {
        let mask = u32::try_from(self.count() - 1).unwrap_or(u32::MAX);
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from(first.to_bits() | number & mask).into(),
            IpAddr::V6(first) => Ipv6Addr::from(first.to_bits() | u128::from(number & mask)).into(),
        }
    }

    fn parse(text: &str) -> Option<Result<Self, &'static str>> {
        let (first, length) = text.split_once('/')?;
        let (first, length): (IpAddr, u8) = (first.parse().ok()?, length.parse().ok()?);
        let (bits, is_ssm) = match first {
            IpAddr::V4(first) => (32, first.octets()[0] == 232 && length >= 8),
            IpAddr::V6(first) => {
                let octets = first.octets();
                let is_ssm = octets[0] == 0xFF && octets[1] >> 4 == 3 && octets[2..12] == [0; 10];
                (128, is_ssm && length >= 96)
            }
        };
        if length > bits {
            return None;
        }
        if !is_ssm {
            return Some(Err("it is not source-specific: 232.0.0.0/8 or ff3x::/96 hold it whole"));
        }
        let range = Self { first, free_bits: bits - length };
        let has_bits_beyond = match first {
            IpAddr::V4(first) => u64::from(first.to_bits()) & (range.count() - 1) != 0,
            IpAddr::V6(first) => first.to_bits() & u128::from(range.count() - 1) != 0,
        };
        Some(if has_bits_beyond { Err("it has bits beyond its length") } else { Ok(range) })
    }
}

impl fmt::Display for GroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.is_ipv4() { 32 } else { 128 };
        write!(f, "{}/{}", self.first, bits - self.free_bits)
    }
}

/// The groups of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MulticastGroups {
    /// None were given.
    None,
    /// Any of these.
    Range(GroupRange),
}

impl Field for MulticastGroups {
    fn read(value: &Value) -> Result<Self, Problem> {
        let right = "a range such as \"232.77.0.0/16\" or \"ff3e::8000:0/112\" is expected";
        match value.text("a range of groups", "232.77.0.0/16")? {
            "" => Ok(Self::None),
            text => match GroupRange::parse(text) {
                Some(Ok(range)) => Ok(Self::Range(range)),
                Some(Err(wrong)) => Err(Problem(format!("{wrong}; {right}"))),
                None => Err(Problem::new(right)),
            },
        }
    }

    fn show(&self) -> String {
        match self {
            Self::None => "\"\"".to_owned(),
            Self::Range(range) => format!("\"{range}\""),
        }
    }
}

/// A rate, bits per second; 0: none was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BitRate(pub u64);

impl BitRate {
    /// The same in bytes per second, rounded down.
    #[must_use]
    pub const fn rate(self) -> Rate {
        Rate::new(self.0 / 8)
    }
}

impl Field for BitRate {
    fn read(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::Integer(number) => read_bit_rate(&number.to_string()).map(Self),
            _ => read_bit_rate(value.text("a bit rate", "100 Mbit/s")?).map(Self),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", show_bit_rate(self.0))
    }
}

/// What keeps `config` from sending to groups, if it is to do that.
pub(super) fn problem(config: &Config) -> Option<Problem> {
    if config.multicast != Multicast::On {
        return None;
    }
    let missing: Vec<&str> = [
        ("multicast_interface", config.multicast_interface.0.is_empty()),
        ("multicast_groups", config.multicast_groups == MulticastGroups::None),
        ("multicast_rate", config.multicast_rate == BitRate(0)),
    ]
    .into_iter()
    .filter_map(|(key, is_missing)| is_missing.then_some(key))
    .collect();
    if missing.is_empty() {
        return None;
    }
    let missing = missing.join(" and ");
    Some(Problem(format!("{missing} must be given too; \"dry-run\" needs none of them")))
}

/// An interface that is not here, or carries no multicast, is of no use to an edge that sends to groups.
pub(super) fn interface_problem(config: &Config) -> Option<Problem> {
    let InterfaceName(name) = &config.multicast_interface;
    if config.multicast != Multicast::On || name.is_empty() {
        return None;
    }
    Interface::named(name).err().map(Problem::new)
}

/// A source of another family than the groups reaches nobody.
pub(super) fn source_problem(config: &Config) -> Option<Problem> {
    match (config.multicast_source, config.multicast_groups) {
        (MulticastSource::Address(source), MulticastGroups::Range(groups))
            if source.is_ipv4() != groups.is_ipv4() =>
        {
            let family = if groups.is_ipv4() { "an IPv4" } else { "an IPv6" };
            Some(Problem(format!("{family} address is needed, as multicast_groups is {groups}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<GroupRange, String> {
        match MulticastGroups::read(&Value::Text(text.to_owned())) {
            Ok(MulticastGroups::Range(range)) => Ok(range),
            Ok(MulticastGroups::None) => Err("none".to_owned()),
            Err(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn a_range_counts_its_groups() {
        let four = range("232.77.0.0/16").unwrap();
        assert_eq!((four.count(), four.is_ipv4()), (65_536, true));
        let groups = [0, 5, 65_535, 65_536].map(|number| four.group(number).to_string());
        assert_eq!(groups, ["232.77.0.0", "232.77.0.5", "232.77.255.255", "232.77.0.0"]);
        let six = range("ff3e::8000:0/112").unwrap();
        assert_eq!(six.group(0xAB).to_string(), "ff3e::8000:ab");
        let all = range("ff35::/96").unwrap();
        assert_eq!(
            (all.count(), all.group(u32::MAX).to_string()),
            (1 << 32, "ff35::ffff:ffff".into())
        );
        let one = range("232.1.2.3/32").unwrap();
        assert_eq!((one.count(), one.group(9).to_string()), (1, "232.1.2.3".into()));
        for text in ["232.77.0.0/16", "ff3e::8000:0/112", "232.1.2.3/32"] {
            assert_eq!(range(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_range_of_source_specific_groups_is_told_why() {
        for text in
            ["239.1.0.0/16", "232.0.0.0/7", "ff1e::/96", "ff3e::/80", "ff3e:1::/96", "10.0.0.0/8"]
        {
            let said = range(text).expect_err(text);
            assert!(said.contains("not source-specific") && said.contains("232.0.0.0/8"), "{said}");
        }
        for text in ["232.77.1.0/16", "ff3e::1/112"] {
            assert!(range(text).expect_err(text).contains("bits beyond its length"));
        }
        for text in ["232.77.0.0", "232.77.0.0/33", "any", "ff3e::/129"] {
            assert!(range(text).expect_err(text).contains("232.77.0.0/16"));
        }
    }
}
