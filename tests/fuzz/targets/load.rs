//! Fuzzes `segcast_kit::fuzz::load`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::load::run(data));
