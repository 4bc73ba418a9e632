//! Fuzzes `segcast_kit::fuzz::network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::network::run(data));
