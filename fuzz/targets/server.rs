//! Fuzzes `segcast_tests::fuzz::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::server::run(data));
