//! A simulated Xen, and its honest and hostile peers.
#![forbid(unsafe_code)]
