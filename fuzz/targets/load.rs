//! Fuzzes `segcast_tests::fuzz::load`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::load::run(data));
