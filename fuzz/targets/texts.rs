//! Fuzzes `segcast_tests::fuzz::texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::texts::run(data));
