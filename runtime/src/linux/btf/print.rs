//! BTF into C.
