//! BTF into the language's types.
