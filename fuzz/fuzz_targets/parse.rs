//! `cargo +nightly fuzz run parse`; see docs/howto/fuzz.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kscope_tests::fuzz::parse(text));
