//! Xenstore client, watches, transactions, and the xenbus state machine.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
