//! The hypervisor as a trait, and the units everything else is written in.
//!
//! Drivers, the xenstore client and the safe logic in `pv` are generic over one parameter,
//! [`Hypervisor`]. `machine` implements it with real hypercalls, `tools/sim` with a simulated Xen;
//! nothing above this crate can tell the difference.
//!
//! - [`mod@unit`]: [`DomId`], [`Port`], [`GrantRef`], [`Mfn`], [`Instant`]: one newtype per unit
//! - [`errno`]: the errors a hypercall returns
//! - [`memory`]: [`SharedMem`], memory that somebody else may be writing
//! - [`heap`]: [`HeapMemory`], shared memory of plain bytes, for tests and simulated domains
//! - [`hypervisor`]: what a domain may ask of Xen
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod errno;
pub mod heap;
pub mod hypervisor;
pub mod memory;
pub mod unit;

pub use errno::Errno;
pub use heap::HeapMemory;
pub use hypervisor::{
    Access, CopyEnd, CopyGrant, GrantLimits, GrantStatus, Hypervisor, MemoryUse, Page, Resumed,
    Shared, ShutdownReason, Span, Virq,
};
pub use memory::{PAGE_SIZE, SharedMem};
pub use unit::{DomId, GrantRef, Instant, Mfn, Pfn, Port};
