//! Fuzzes `segcast_tests::fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::manifest::run(data));
