//! Fuzzes `segcast_kit::fuzz::groups`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::groups::run(data));
