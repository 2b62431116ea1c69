//! The hypervisor as a trait, and the units everything else is written in.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
