//! Failures of a running program, in bpftrace's forms: text as a warning at the script's line,
//! JSON as `helper_error` and `runtime_error`.

use super::{json, put};
use codegen::failure::{Failure, FailureKind};
use codegen::helpers::Helper;
use lang::source::Sources;
use lang::{Diagnostic, diagnostic};
use std::io;

/// `E2BIG` of an update: the map has no room.
const FULL: i64 = -7;

/// Appends the text form. `count` failures are told at once, one by one when it is 1.
pub fn text(out: &mut Vec<u8>, failure: &Failure, code: i64, count: u64, sources: &Sources) {
    let mut message = match failure.kind {
        FailureKind::Helper(Helper::MapUpdateElem) if code == FULL => {
            "Map full; can't update element. Try increasing max_map_keys config or manually setting \
             the max entries in a map declaration e.g. `let @a = hash(5000)`"
                .to_owned()
        }
        kind => plain(kind, code),
    };
    if count > 1 {
        message = format!("{message} ({count} more times, not shown one by one)");
    }
    let shown = diagnostic::render(&Diagnostic::warning(failure.span, message), sources);
    let (place, excerpt) = shown.split_once('\n').unwrap_or((&shown, ""));
    put(out, format_args!("{place}\n"));
    if let FailureKind::Helper(helper) = failure.kind {
        put(out, format_args!("Additional Info - helper: {}, retcode: {code}\n", helper.name()));
    }
    put(out, excerpt);
}

/// Appends the JSON form; `count` is only there when it is not 1.
pub fn json(out: &mut Vec<u8>, failure: &Failure, code: i64, count: u64, sources: &Sources) {
    let kind = match failure.kind {
        FailureKind::Helper(_) => "helper_error",
        FailureKind::DivisionByZero | FailureKind::OutOfBounds | FailureKind::TooManyRounds => {
            "runtime_error"
        }
    };
    put(out, format_args!("{{\"type\": \"{kind}\", \"msg\": "));
    json::string(out, plain(failure.kind, code).as_bytes());
    if let FailureKind::Helper(helper) = failure.kind {
        put(out, format_args!(", \"helper\": \"{}\", \"retcode\": {code}", helper.name()));
    }
    let source = sources.get(failure.span.file);
    let place = source.position(failure.span.start);
    put(out, ", \"filename\": ");
    json::string(out, source.name.as_bytes());
    put(out, format_args!(", \"line\": {}, \"col\": {}", place.line, place.column));
    if count != 1 {
        put(out, format_args!(", \"count\": {count}"));
    }
    put(out, "}\n");
}

/// What happened, in words that do not depend on the format.
fn plain(kind: FailureKind, code: i64) -> String {
    match kind {
        FailureKind::Helper(Helper::MapLookupElem | Helper::MapLookupPercpuElem) => {
            "Can't lookup map element because it does not exist.".to_owned()
        }
        FailureKind::Helper(_) => errno_text(code),
        FailureKind::DivisionByZero => {
            "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being used as the \
             result."
                .to_owned()
        }
        FailureKind::OutOfBounds => {
            "Array access out of bounds. This can lead to unexpected results.".to_owned()
        }
        FailureKind::TooManyRounds => {
            "Loop stopped at the kernel's limit. The rounds that were left did not run.".to_owned()
        }
    }
}

/// The C library's words for a negative error number.
fn errno_text(code: i64) -> String {
    let number = i32::try_from(code.saturating_neg()).unwrap_or(i32::MAX);
    let text = io::Error::from_raw_os_error(number).to_string();
    match text.rsplit_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
