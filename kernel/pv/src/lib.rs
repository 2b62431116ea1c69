//! Safe logic over the hypervisor trait: grant table, event channels, pvclock, p2m.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
