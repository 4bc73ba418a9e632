//! Fuzzes `segcast_kit::fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::manifest::run(data));
