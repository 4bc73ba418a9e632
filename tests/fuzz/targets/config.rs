//! Fuzzes `segcast_kit::fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::config::run(data));
