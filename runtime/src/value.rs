//! Decoded values: what renderers see.

/// A value of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true`, `false`
    Bool(bool),
    /// A signed integer and its width in bytes.
    Int(i64, u8),
    /// An unsigned integer and its width in bytes.
    Uint(u64, u8),
    /// An enum's value and its name, if it has one.
    Enum(i64, Option<String>),
    /// A pointer.
    Pointer(u64),
    /// Text as bytes, without NUL; `cut` when the buffer was too small for all of it.
    Str {
        /// The bytes.
        bytes: Vec<u8>,
        /// Whether something is missing.
        cut: bool,
    },
    /// Bytes.
    Buf(Vec<u8>),
    /// Something printed by name: a symbol, an address, a timestamp.
    Text(String),
    /// A stack: one line for each frame, already in the mode's form, without indentation.
    Stack(Vec<String>),
    /// `(a, b)`
    Tuple(Vec<Value>),
    /// `{ .a = 1 }`, also structs.
    Record(Vec<(String, Value)>),
    /// An array.
    Array(Vec<Value>),
    /// `avg`
    Avg(i128),
    /// `stats`
    Stats {
        /// Number of samples.
        count: u64,
        /// Truncated toward zero.
        average: i128,
        /// Sum.
        total: i128,
    },
    /// `hist` and `lhist`: the buckets with their bounds, from the first to the last non-empty one.
    Hist(Vec<Bucket>),
}

/// A bucket of a histogram: values from `min` to `max`, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// `None`: everything below.
    pub min: Option<i64>,
    /// `None`: everything above.
    pub max: Option<i64>,
    /// How many.
    pub count: u64,
}
