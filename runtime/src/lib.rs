//! The runtime: an object in, attached probes and printed records out.
//!
//! `session` is one loop over one closed event enum. `Backend` is what may be done to a kernel;
//! [`linux`] is the real one. Bytes become [`value::Value`] in `decode` and nowhere else, and
//! only `output` formats.

pub mod aggregate;
pub mod backend;
pub mod clock;
pub mod decode;
pub mod dispatch;
#[cfg(test)]
mod fake;
pub mod kept;
pub mod linux;
pub mod maps;
pub mod output;
pub mod outside;
pub mod session;
pub mod symbols;
pub mod value;
