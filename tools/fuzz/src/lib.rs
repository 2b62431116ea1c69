//! Fuzz harnesses that replay under cargo test.
#![forbid(unsafe_code)]
