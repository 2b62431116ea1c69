//! Xen's ABI: structs, constants, hypercall numbers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
