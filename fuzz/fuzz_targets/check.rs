//! `cargo +nightly fuzz run check`; see docs/howto/fuzz.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| kscope_tests::fuzz::check(text));
