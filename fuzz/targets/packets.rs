//! Fuzzes `segcast_tests::fuzz::packets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::packets::run(data));
