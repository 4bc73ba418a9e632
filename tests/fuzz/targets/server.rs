//! Fuzzes `segcast_kit::fuzz::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::server::run(data));
