//! The edge's own keys as an operator meets them; the machinery is tested where it is, in `segcast-config`.

use segcast_config::{ConfigErrors, Source};

use super::*;

fn load_text(text: &str) -> Result<Config, ConfigErrors> {
    Source::default().load_text(text)
}

#[test]
fn the_shipped_file_says_exactly_what_is_built_in() {
    assert_eq!(load_text(DEFAULT_TOML), Ok(Config::default()));
}

#[test]
fn the_manual_explains_every_key_in_order_and_marks_what_reloads() {
    let mut rest = DEFAULT_TOML;
    for key in Config::KEYS {
        let line = format!("\n{} = ", key.name);
        let (before, after) = rest.split_once(&line).unwrap_or_else(|| panic!("{}", key.name));
        let comment = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(comment.starts_with("# "), "{} has no comment", key.name);
        assert_eq!(comment.contains("[reload]"), key.reload, "{}", key.name);
        rest = after;
    }
}

#[test]
fn a_configuration_reads_back_what_it_shows() {
    let config = Config {
        sets: Sets::Only(BTreeSet::from([SetId([7; 16]), SetId([9; 16])])),
        admin: Admin::Off,
        zero_copy: ZeroCopy::Never,
        session_log: SessionLog::File(PathBuf::from("/var/log/segcast/sessions.jsonl")),
        egress_max: RateCap::BitsPerSecond(2_500_000_000),
        idle_timeout: Duration::from_secs(90),
        multicast: Multicast::On,
        multicast_interface: InterfaceName("lo".to_owned()),
        multicast_source: MulticastSource::Address("2001:db8::1".parse().expect("an address")),
        multicast_rate: BitRate(1_500_000_000),
        ..Config::default()
    };
    let text = config.to_toml().replace("groups = \"\"", "groups = \"ff3e::8000:0/112\"");
    let read = load_text(&text).expect("what it shows");
    assert!(
        matches!(read.multicast_groups, MulticastGroups::Range(groups) if groups.count() == 65_536)
    );
    assert_eq!(read.to_toml(), text);
    assert_eq!(Config { multicast_groups: MulticastGroups::None, ..read }, config);
}

#[test]
fn values_that_no_edge_can_have_are_refused_with_what_would_be_right() {
    for (text, right) in [
        ("receive_buffers = 500\n", "a power of two"),
        ("send_slab = \"100 KiB\"\n", "a multiple of \"64 KiB\""),
        ("idle_timeout = \"90.5s\"\n", "whole seconds"),
        ("datagram_max = \"1 MiB\"\n", "from \"1200 B\" to \"8952 B\""),
        ("io = \"epoll\"\n", "\"ring\""),
        ("admin = \"localhost:1\"\n", "\"off\" serves no metrics"),
        ("sets = [\"*\", \"*\"]\n", "[\"*\"] alone"),
        ("sets = [7]\n", "32 hexadecimal digits"),
        ("multicast = \"yes\"\n", "\"dry-run\""),
        (
            "multicast = \"on\"\n",
            "multicast_interface and multicast_groups and multicast_rate must",
        ),
        ("multicast_groups = \"239.0.0.0/8\"\n", "232.0.0.0/8 or ff3x::/96"),
        ("multicast_interface = \"a/b\"\n", "`ip link`"),
        ("multicast_interface = \"nosuch0\"\nmulticast = \"on\"\n", "nosuch0"),
        ("multicast_source = \"232.0.0.1\"\n", "an address of the interface"),
        ("multicast_source = \"::1\"\nmulticast_groups = \"232.1.0.0/16\"\n", "an IPv4 address"),
        ("multicast_ttl = 0\n", "from 1 to 255"),
        ("multicast_rate = \"1 GB\"\n", "Gbit/s"),
        ("multicast_bulk_rate = \"0\"\n", "1 Mbit/s"),
        ("multicast_channels = 5000\n", "from 1 to 4096"),
    ] {
        let message = load_text(text).expect_err(text).to_string();
        assert!(message.contains("text:1: ") && message.contains(right), "{message}");
    }
}
