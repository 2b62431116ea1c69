//! Both ends of a shared ring, and byte streams.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
