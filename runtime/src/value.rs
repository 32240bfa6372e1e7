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
    /// Something printed by name: a symbol, a timestamp.
    Text(String),
    /// The address of a host or of its network card.
    Address {
        /// As it is printed.
        text: String,
        /// As they are sent.
        bytes: Vec<u8>,
    },
    /// A stack: one line for each frame, already in the mode's form, indentation included.
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
    /// `hist` and `lhist`.
    Hist(Histogram),
}

/// A histogram: its buckets from the first to the last non-empty one, so none when all are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// In ascending order, without gaps.
    pub buckets: Vec<Bucket>,
    /// How the bounds are written.
    pub scale: Scale,
}

/// How the bounds of a histogram's buckets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// `hist(n, bits)`: a unit (`K`, `M`, …) as soon as buckets are at least that wide.
    Power {
        /// Each power of two is split in 2^bits.
        bits: u8,
    },
    /// `lhist(n, min, max, step)`: a unit where it divides the bound, if 1024 divides the step.
    Linear {
        /// Width of a bucket.
        step: i64,
    },
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

impl Value {
    /// A string with nothing missing.
    pub fn text(bytes: impl Into<Vec<u8>>) -> Self {
        Value::Str { bytes: bytes.into(), cut: false }
    }

    /// The value as 64 bits, as `printf` reads it: sign-extended; 0 for what is no number.
    pub fn bits(&self) -> u64 {
        match self {
            Value::Bool(is) => (*is).into(),
            Value::Int(n, _) | Value::Enum(n, _) => *n as u64,
            Value::Uint(n, _) | Value::Pointer(n) => *n,
            Value::Avg(average) | Value::Stats { average, .. } => *average as u64,
            Value::Str { .. }
            | Value::Buf(_)
            | Value::Text(_)
            | Value::Address { .. }
            | Value::Stack(_)
            | Value::Tuple(_)
            | Value::Record(_)
            | Value::Array(_)
            | Value::Hist(_) => 0,
        }
    }
}

impl Histogram {
    /// How many values were counted.
    pub fn total(&self) -> u128 {
        self.buckets.iter().map(|bucket| u128::from(bucket.count)).sum()
    }
}
