//! Fuzzes `segcast_kit::fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::token::run(data));
