//! Fuzzes `segcast_kit::fuzz::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_kit::fuzz::handshake::run(data));
