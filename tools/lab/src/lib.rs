//! Nested Xen under QEMU.
#![forbid(unsafe_code)]
