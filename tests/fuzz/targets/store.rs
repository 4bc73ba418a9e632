//! Fuzzes `segcast_kit::fuzz::store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::store::run(data));
