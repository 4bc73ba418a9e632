//! Fuzzes `segcast_tests::fuzz::store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::store::run(data));
