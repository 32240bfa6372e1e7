//! `cargo +nightly fuzz run fmt`; see docs/howto/fuzz.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kscope_tests::fuzz::fmt(text));
