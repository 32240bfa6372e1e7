//! Merging of per-CPU aggregation values.
