//! Fuzzes `segcast_kit::fuzz::packets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::packets::run(data));
