//! Fuzzes `segcast_kit::fuzz::texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::texts::run(data));
