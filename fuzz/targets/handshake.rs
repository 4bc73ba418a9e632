//! Fuzzes `segcast_tests::fuzz::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| segcast_tests::fuzz::handshake::run(data));
