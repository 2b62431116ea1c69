//! The real hypervisor.
#![no_std]
