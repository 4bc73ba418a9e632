//! Fuzzes `segcast_tests::fuzz::client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::client::run(data));
