//! `cargo +nightly fuzz run attach`; see docs/howto/fuzz.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kscope_tests::fuzz::attach(text));
