//! Fuzzes `segcast_kit::fuzz::tickets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::tickets::run(data));
