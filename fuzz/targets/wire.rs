//! Fuzzes `segcast_tests::fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::wire::run(data));
