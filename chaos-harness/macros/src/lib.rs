//! The macros of `chaos-harness`; use them through that crate.
