use super::*;
use crate::value::Scale;
use std::cell::RefCell;
use std::rc::Rc;

/// A writer whose bytes the test can look at.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a message puts on stdout and stderr.
fn print(format: Format, message: &Message<'_>) -> (String, String) {
    let (stdout, stderr) = (Shared::default(), Shared::default());
    let mut output = Output::new(format, Box::new(stdout.clone()), Box::new(stderr.clone()));
    output.message(message).unwrap();
    output.flush().unwrap();
    let text = |shared: Shared| String::from_utf8(shared.0.take()).unwrap();
    (text(stdout), text(stderr))
}

fn check(message: &Message<'_>, text: &str, json: &str) {
    assert_eq!(print(Format::Text, message), (text.to_owned(), String::new()));
    assert_eq!(print(Format::Json, message), (json.to_owned(), String::new()));
}

fn check_map(entries: &[(Option<Value>, Value)], text: &str, json: &str) {
    check(&Message::Map { name: "@x", entries, top: None, div: 1 }, text, json);
}

fn check_scalar(value: Value, text: &str, json: &str) {
    check(
        &Message::Value(&value),
        &format!("{text}\n"),
        &format!("{{\"type\": \"value\", \"data\": {json}}}\n"),
    );
    check_map(
        &[(None, value)],
        &format!("@x: {text}\n"),
        &format!("{{\"type\": \"map\", \"data\": {{\"@x\": {json}}}}}\n"),
    );
}

fn check_key(key: Value, text: &str, json: &str) {
    check_map(
        &[(Some(key), int(1))],
        &format!("@x[{text}]: 1\n"),
        &format!("{{\"type\": \"map\", \"data\": {{\"@x\": {{\"{json}\": 1}}}}}}\n"),
    );
}

fn int(n: i64) -> Value {
    Value::Int(n, 8)
}

fn uint(n: u64) -> Value {
    Value::Uint(n, 8)
}

fn string(text: &str) -> Value {
    Value::text(text)
}

fn stack(lines: &[&str]) -> Value {
    Value::Stack(lines.iter().map(|&line| line.to_owned()).collect())
}

fn tuple(items: impl Into<Vec<Value>>) -> Value {
    Value::Tuple(items.into())
}

fn record() -> Value {
    Value::Record(vec![("a".to_owned(), int(1)), ("b".to_owned(), string("x y"))])
}

fn hist(scale: Scale, buckets: &[(Option<i64>, Option<i64>, u64)]) -> Value {
    let bucket = |&(min, max, count): &_| Bucket { min, max, count };
    Value::Hist(Histogram { buckets: buckets.iter().map(bucket).collect(), scale })
}

#[test]
fn values_and_scalar_maps() {
    for (value, text, json) in [
        (int(-5), "-5", "-5"),
        (uint(u64::MAX), "18446744073709551615", "\"18446744073709551615\""),
        (int(1 << 53), "9007199254740992", "9007199254740992"),
        (int((1 << 53) + 1), "9007199254740993", "\"9007199254740993\""),
        (int(-(1 << 53) - 1), "-9007199254740993", "\"-9007199254740993\""),
        (Value::Bool(true), "true", "true"),
        (Value::Pointer(1004), "0x3ec", "1004"),
        (Value::Pointer(0), "0x0", "0"),
        (Value::Enum(5, Some("B".to_owned())), "B", "5"),
        (Value::Enum(7, None), "7", "7"),
        (string("hello"), "hello", "\"hello\""),
        (Value::Str { bytes: b"/etc/de".to_vec(), cut: true }, "/etc/de..", "\"/etc/de..\""),
        (Value::Text("vfs_read".to_owned()), "vfs_read", "\"vfs_read\""),
        (Value::Buf(b"hi\x01\xff".to_vec()), "hi\\x01\\xff", "[104,105,1,255]"),
        (Value::Array(vec![int(1), int(2)]), "[1,2]", "[1,2]"),
        (tuple([int(1), string("two"), tuple([int(3), int(4)])]), "(1, two, (3, 4))", "[1,\"two\",[3,4]]"),
        (record(), "{ .a = 1, .b = x y }", "{\"a\": 1, \"b\": \"x y\"}"),
        (
            stack(&["        a+1", "        b+2"]),
            "\n        a+1\n        b+2\n",
            "\"\\n        a+1\\n        b+2\\n\"",
        ),
        (tuple([int(1), stack(&["a"])]), "(1, \na\n)", "[1,\"\\na\\n\"]"),
        (
            string("q\"\\\n\r\t\x08\x1f\x7f é"),
            "q\"\\\n\r\t\x08\x1f\x7f é",
            "\"q\\\"\\\\\\n\\r\\t\\u0008\\u001f\x7f é\"",
        ),
    ] {
        check_scalar(value, text, json);
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_in_text_and_replaced_in_json() {
    let shared = Shared::default();
    for format in [Format::Text, Format::Json] {
        let mut output = Output::new(format, Box::new(shared.clone()), Box::new(Shared::default()));
        output.message(&Message::Value(&Value::text(*b"\xffa"))).unwrap();
    }
    assert_eq!(*shared.0.borrow(), b"\xffa\n{\"type\": \"value\", \"data\": \"\xef\xbf\xbda\"}\n");
}

#[test]
fn keys() {
    let frames = stack(&["        a+1", "        b+2"]);
    let perf = stack(&["\t1f a+1 (m)"]);
    for (key, text, json) in [
        (int(-1), "-1", "-1"),
        (string("a b"), "a b", "a b"),
        (string("k\""), "k\"", "k\\\""),
        (string(""), "", ""),
        (Value::Bool(true), "true", "true"),
        (Value::Pointer(255), "0xff", "0xff"),
        (Value::Enum(1, Some("A".to_owned())), "A", "A"),
        (Value::Buf(b"ab".to_vec()), "ab", "ab"),
        (tuple([string("a"), int(1)]), "a, 1", "a,1"),
        (tuple([tuple([int(1), int(2)]), string("x y")]), "(1, 2), x y", "(1,2),x y"),
        (Value::Array(vec![int(1), int(2)]), "[1,2]", "[1,2]"),
        (record(), "{ .a = 1, .b = x y }", "{.a=1,.b=x y}"),
        (frames.clone(), "\n        a+1\n        b+2\n", "\\na+1\\nb+2\\n"),
        (tuple([frames, string("cat")]), "\n        a+1\n        b+2\n, cat", "\\na+1\\nb+2\\n,cat"),
        (perf, "\n\t1f a+1 (m)\n", "\\n\\t1fa+1(m)\\n"),
    ] {
        check_key(key, text, json);
    }
}

#[test]
fn maps_list_their_entries() {
    let entries = [(Some(string("b")), int(1)), (Some(string("a")), int(5))];
    check_map(
        &entries,
        "@x[b]: 1\n@x[a]: 5\n",
        "{\"type\": \"map\", \"data\": {\"@x\": {\"b\": 1, \"a\": 5}}}\n",
    );
}

#[test]
fn averages_are_of_type_stats_in_json() {
    let stats = Value::Stats { count: 3, average: -2, total: -7 };
    check_map(
        &[(None, stats.clone())],
        "@x: { .count = 3, .average = -2, .total = -7 }\n",
        "{\"type\": \"stats\", \"data\": {\"@x\": {\"count\": 3, \"average\": -2, \"total\": -7}}}\n",
    );
    check_map(
        &[(Some(int(1)), stats)],
        "@x[1]: { .count = 3, .average = -2, .total = -7 }\n",
        "{\"type\": \"stats\", \"data\": {\"@x\": {\"1\": {\"count\": 3, \"average\": -2, \"total\": -7}}}}\n",
    );
    check_map(&[(None, Value::Avg(3))], "@x: 3\n", "{\"type\": \"stats\", \"data\": {\"@x\": 3}}\n");
    let entry = (Some(string("k")), Value::Avg(4));
    check_map(&[entry], "@x[k]: 4\n", "{\"type\": \"stats\", \"data\": {\"@x\": {\"k\": 4}}}\n");
}

#[test]
fn histograms() {
    let full = "@".repeat(52);
    let empty = " ".repeat(52);
    let scale = Scale::Power { bits: 0 };
    let buckets = [(None, Some(-1), 1), (Some(0), Some(0), 0), (Some(512), Some(1023), 1)];
    let rows = format!(
        "(..., 0)               1 |{full}|\n[0]                    0 |{empty}|\n[512, 1K)              1 |{full}|\n\n"
    );
    let json = "[{\"max\": -1, \"count\": 1},{\"min\": 0, \"max\": 0, \"count\": 0},\
                {\"min\": 512, \"max\": 1023, \"count\": 1}]";
    check_map(
        &[(None, hist(scale, &buckets))],
        &format!("@x:\n{rows}"),
        &format!("{{\"type\": \"hist\", \"data\": {{\"@x\": {json}}}}}\n"),
    );
    check_map(
        &[(Some(string("bash")), hist(scale, &buckets))],
        &format!("@x[bash]:\n{rows}"),
        &format!("{{\"type\": \"hist\", \"data\": {{\"@x\": {{\"bash\": {json}}}}}}}\n"),
    );
    check_map(
        &[(None, hist(Scale::Linear { step: 1 }, &[(Some(10), None, 1)]))],
        &format!("@x:\n[10, ...)              1 |{full}|\n\n"),
        "{\"type\": \"hist\", \"data\": {\"@x\": [{\"min\": 10, \"count\": 1}]}}\n",
    );
    check_map(&[(None, hist(scale, &[]))], "@x:\n\n", "{\"type\": \"hist\", \"data\": {\"@x\": []}}\n");
}

#[test]
fn top_takes_the_largest_and_div_divides() {
    let entries = [1, 5, -9, 12].map(|n| (Some(int(n)), int(n)));
    for (top, div, expected) in [
        (None, 1, "@x[1]: 1\n@x[5]: 5\n@x[-9]: -9\n@x[12]: 12\n"),
        (Some(0), 0, "@x[1]: 1\n@x[5]: 5\n@x[-9]: -9\n@x[12]: 12\n"),
        (Some(2), 1, "@x[-9]: -9\n@x[12]: 12\n"),
        (Some(9), 2, "@x[1]: 0\n@x[5]: 2\n@x[-9]: -4\n@x[12]: 6\n"),
        (Some(u64::MAX), 1, "@x[1]: 1\n@x[5]: 5\n@x[-9]: -9\n@x[12]: 12\n"),
    ] {
        let message = Message::Map { name: "@x", entries: &entries, top, div };
        assert_eq!(print(Format::Text, &message).0, expected, "{top:?} {div}");
    }
    let buckets = [(Some(0), Some(9), 7), (Some(10), None, 1)];
    for (value, expected) in [
        (uint(7), uint(3)),
        (Value::Avg(-7), Value::Avg(-3)),
        (Value::Stats { count: 9, average: 7, total: 63 }, Value::Stats { count: 9, average: 3, total: 63 }),
        (
            hist(Scale::Power { bits: 0 }, &buckets),
            hist(Scale::Power { bits: 0 }, &[(Some(0), Some(9), 3), (Some(10), None, 0)]),
        ),
        (hist(Scale::Linear { step: 10 }, &buckets), hist(Scale::Linear { step: 10 }, &buckets)),
        (string("a"), string("a")),
    ] {
        assert_eq!(divided(&value, 2), expected);
    }
}

#[test]
fn other_messages() {
    check(&Message::Time("09:00\n"), "09:00\n", "{\"type\": \"time\", \"data\": \"09:00\\n\"}\n");
    check(&Message::Join(b"a b c"), "a b c\n", "{\"type\": \"join\", \"data\": \"a b c\"}\n");
    check(&Message::End, "\n\n", "");
    let format = PrintfFormat { pieces: vec![lang::hir::Piece::Text("no newline".to_owned())] };
    check(&Message::Printf(&format, &[]), "no newline", "{\"type\": \"printf\", \"data\": \"no newline\"}\n");
}

#[test]
fn what_is_about_the_run_goes_to_stderr_as_text() {
    let full = Message::MapFull { name: "@a", refused: 2, max_entries: 4096, kind: MapKind::Hash };
    let outside = Message::MapFull { name: "@i", refused: 1, max_entries: 4, kind: MapKind::Array };
    for (message, text, json) in [
        (
            Message::Attached(1),
            "Attached 1 probe\n",
            "{\"type\": \"attached_probes\", \"count\": 1, \"data\": {\"probes\": 1}}\n",
        ),
        (
            Message::Attached(12),
            "Attached 12 probes\n",
            "{\"type\": \"attached_probes\", \"count\": 12, \"data\": {\"probes\": 12}}\n",
        ),
        (
            Message::Lost(5),
            "Lost 5 events\n",
            "{\"type\": \"lost_events\", \"count\": 5, \"data\": {\"events\": 5}}\n",
        ),
        (
            full,
            "WARNING: map @a is full, it holds 4096 keys: 2 updates were refused\n\
             HINT: raise max_map_keys, or declare the map's size: `let @a = hash(8192)`\n",
            "{\"type\": \"helper_error\", \"msg\": \"Argument list too long\", \"helper\": \"map_update_elem\", \
             \"retcode\": -7, \"map\": \"@a\", \"count\": 2, \"max_entries\": 4096}\n",
        ),
        (
            outside,
            "WARNING: map @i has 4 values: 1 update was behind its end\n\
             HINT: its indices are 0 to 3; declare it larger: `let @i = array(…)`\n",
            "{\"type\": \"helper_error\", \"msg\": \"Argument list too long\", \"helper\": \"map_update_elem\", \
             \"retcode\": -7, \"map\": \"@i\", \"count\": 1, \"max_entries\": 4}\n",
        ),
    ] {
        assert_eq!(print(Format::Text, &message), (String::new(), text.to_owned()));
        assert_eq!(print(Format::Json, &message), (json.to_owned(), String::new()));
    }
}

#[test]
fn every_json_line_is_json() {
    let value =
        tuple([record(), string("\u{1}\"\\é"), stack(&["a"]), Value::Buf(vec![0, 255]), uint(u64::MAX)]);
    let entries = [(Some(value.clone()), value.clone())];
    for message in [
        Message::Value(&value),
        Message::Map { name: "@x", entries: &entries, top: None, div: 1 },
        Message::MapFull { name: "@", refused: 1, max_entries: 1, kind: MapKind::Hash },
    ] {
        let (line, _) = print(Format::Json, &message);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(parsed.get("type").is_some());
    }
}

#[test]
fn a_closed_pipe_is_an_error_of_that_kind() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut output = Output::new(Format::Text, Box::new(Closed), Box::new(Closed));
    output.message(&Message::Value(&int(1))).unwrap();
    assert_eq!(output.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
