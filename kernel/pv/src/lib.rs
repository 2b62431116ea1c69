//! Safe logic over the hypervisor trait: what a domain makes of Xen's primitives.
//!
//! - [`domain`]: [`Pv`], the handle that every driver is given
//! - [`event`]: [`Events`] and [`Channel`]: ports, their dispatch and their waiters
//! - [`grant`]: [`Grants`] and [`Granted`]: pages that a peer may map, and taking them back;
//!   [`GrantedSpan`]: pages in a row that it may only read
//! - [`scarcity`]: [`Scarcity`]: whether memory is wanted that is not free; [`ScarcityWatch`]
//! - [`pvclock`]: time from the page Xen shares
//! - [`frames`]: [`FrameMap`](frames::FrameMap): which of the domain's frames are free
//! - [`pagetable`]: where the page tables of a map of all memory go
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod domain;
pub mod event;
pub mod frames;
pub mod grant;
pub mod pagetable;
pub mod pvclock;
pub mod scarcity;

pub use domain::Pv;
pub use event::{Channel, Events, PortUse};
pub use grant::span::GrantedSpan;
pub use grant::{GrantError, GrantRefusal, GrantUse, Granted, Grants};
pub use scarcity::{Scarcity, ScarcityWatch};
