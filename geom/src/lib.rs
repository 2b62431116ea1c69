//! GEOM: class, geom, provider, consumer, bio, and disks that may leave.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
