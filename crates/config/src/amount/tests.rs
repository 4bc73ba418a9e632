//! The grammar of amounts: what is read, what is refused and with which words, what reads back.

use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Duration {
    read_duration(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

#[test]
fn amounts_with_their_units_are_read() {
    assert_eq!(time("180s"), Duration::from_secs(180));
    assert_eq!(time(" 1.5 s "), Duration::from_millis(1500));
    assert_eq!(time("5 min"), Duration::from_secs(300));
    assert_eq!(time("1h30m"), Duration::from_secs(5400));
    assert_eq!(time("1 h 30 min 0.5 s"), Duration::from_millis(5_400_500));
    assert_eq!(time("7d"), Duration::from_secs(604_800));
    assert_eq!((time("800us"), time("800 µs")), (Duration::from_micros(800), time("800 \u{3bc}s")));
    assert_eq!(read_size("64 KiB"), Ok(65_536));
    assert_eq!(read_size("1.5 MiB"), Ok(3 << 19));
    assert_eq!(read_size("18446744073709551615 B"), Ok(u64::MAX));
    assert_eq!(read_bit_rate("2.5 Gbit/s"), Ok(2_500_000_000));
    assert_eq!(read_bit_rate("5Mbit/s"), Ok(5_000_000));
}

#[test]
fn nothing_needs_no_unit_and_anything_else_does() {
    assert_eq!(read_duration("0"), Ok(Duration::ZERO));
    assert_eq!((read_size("0"), read_bit_rate("0")), (Ok(0), Ok(0)));
    for bare in ["1", "90", "0.5", "00"] {
        assert!(read_duration(bare).is_err() && read_size(bare).is_err(), "{bare}");
        assert!(read_bit_rate(bare).is_err(), "{bare}");
    }
}

#[test]
fn a_wrong_unit_is_answered_with_the_right_one() {
    let answers = |problem: Option<Problem>, right: &str| {
        let text = problem.expect(right).to_string();
        assert!(text.contains("needs one of the units") && text.contains(right), "{text}");
    };
    answers(read_duration("180").err(), "\"180 s\"");
    answers(read_duration("5 minutes").err(), "\"5 min\"");
    for size in ["10MB", "10 mib", "10m", "10Mi", "10M"] {
        answers(read_size(size).err(), "\"10 MiB\"");
    }
    answers(read_size("73728").err(), "\"73728 B\"");
    answers(read_bit_rate("10 GB/s").err(), "\"80 Gbit/s\"");
    for rate in ["10Gbps", "10Gb/s", "10 gbit/s", "10G"] {
        answers(read_bit_rate(rate).err(), "\"10 Gbit/s\"");
    }
    answers(read_bit_rate("5").err(), "\"5 Mbit/s\"");
}

#[test]
fn nonsense_is_refused() {
    for text in [
        "",
        "s",
        "MiB",
        "-1s",
        "+1s",
        "1e9s",
        "1..5s",
        "1.2.3s",
        ".5s",
        "5 parsecs",
        "1 furlong",
        "inf",
        "NaN",
        "99999999999999999999 h",
        "0.0000001ns",
        "1.0000000001 B",
        "99999999999TiB",
        "0.5 bit/s",
        "1h30",
        "30m1h",
        "1h1h",
        "0 5s",
        "1h0",
        "18446744073709551615.9999999999999999999 TiB",
    ] {
        assert!(read_duration(text).is_err(), "{text}");
        assert!(read_size(text).is_err() && read_bit_rate(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_shown_is_short() {
    assert_eq!(show_duration(Duration::ZERO), "0s");
    assert_eq!(show_duration(Duration::from_secs(5400)), "90min");
    assert_eq!((show_size(0), show_size(1 << 20)), ("0 B".into(), "1 MiB".into()));
    assert_eq!(show_bit_rate(2_500_000_000), "2500 Mbit/s");
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(value: u64) {
        let duration = Duration::from_nanos(value);
        prop_assert_eq!(read_duration(&show_duration(duration)), Ok(duration));
        prop_assert_eq!(read_size(&show_size(value)), Ok(value));
        prop_assert_eq!(read_bit_rate(&show_bit_rate(value)), Ok(value));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}", near in "[0-9.µmshdinKMGTbBt/ ]{0,24}") {
        for text in [text, near] {
            drop((read_duration(&text), read_size(&text), read_bit_rate(&text)));
        }
    }
}
