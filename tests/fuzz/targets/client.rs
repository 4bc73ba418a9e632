//! Fuzzes `segcast_kit::fuzz::client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::client::run(data));
