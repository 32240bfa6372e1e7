//! Runs case files as the tests do and prints what a user would see:
//! `cargo run -p kscope-tests --example case tests/cases/run/hist.bt …`

fn main() {
    for path in std::env::args().skip(1) {
        match std::fs::read_to_string(&path) {
            Ok(text) => print!("== {path}\n{}", kscope_tests::cases::run(&text)),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
}
