//! Fuzzes `segcast_tests::fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::token::run(data));
