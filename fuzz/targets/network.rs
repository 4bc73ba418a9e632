//! Fuzzes `segcast_tests::fuzz::network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::network::run(data));
