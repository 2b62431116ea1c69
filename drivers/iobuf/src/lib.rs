//! Memory that GEOM moves and Xen copies: own pages, and pages that another domain granted.
//!
//! A block backend's request is about pages of another domain. Here they are a [`geom::Memory`], so
//! whoever serves the request moves bytes between them and its own pages as between any two
//! memories; what really happens is `GNTTABOP_copy`, many copies with one hypercall, and no byte is
//! touched inside this domain. Only a peer that uses the same pages again and again has them
//! mapped, and bytes are copied once between those and this domain's pages.
//!
//! - [`page`]: [`IoPage`], [`GrantedPage`]: one page of this domain's
//! - [`peer`]: [`PeerMemory`]: what one request of another domain is about
//! - [`persistent`]: [`PersistentGrants`]: pages of a peer's that stay mapped
//! - [`copies`]: [`Copies`]: what Xen is still to copy
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod copies;
pub mod page;
pub mod peer;
pub mod persistent;

pub use copies::Copies;
pub use page::{GrantedPage, IoPage};
pub use peer::{PeerMemory, Segment};
pub use persistent::PersistentGrants;
