//! Run loop, async executor, timers, log and trace ring.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
