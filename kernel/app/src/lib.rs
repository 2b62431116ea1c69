//! What a running domain is made of, and the API applications are written against.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
