//! control/shutdown and its relatives.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
