//! Xen's ABI: structs, constants, hypercall numbers.
//!
//! One module per header of Xen's public interface; each names its header. Nothing here calls
//! Xen or touches memory: the structs are arguments of hypercalls, owned by this domain. Memory
//! that a peer writes has no struct here but offsets, and functions that encode and decode plain
//! values; so nobody is tempted to take a reference to it.
//!
//! Constants and structs come from the `xen-sys` crate where its layout is right; its functions
//! are never used. `tests/headers.rs` compares all of it with Xen's own headers.
//!
//! - [`arch_x86`]: traps, selectors, the frame of the `iret` hypercall
//! - [`xen`]: hypercall numbers, page-table operations, `start_info`
//! - [`shared_info`]: the page of event bits and clocks that Xen shares with a domain
//! - [`callback`], [`elfnote`], [`event_channel`], [`features`], [`grant_table`], [`memory`],
//!   [`physdev`], [`sched`], [`vcpu`], [`version`]: the headers of these names
//! - [`io`]: the protocols that domains speak among each other
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arch_x86;
pub mod callback;
pub mod elfnote;
pub mod event_channel;
pub mod features;
pub mod grant_table;
pub mod io;
pub mod memory;
pub mod physdev;
pub mod sched;
pub mod shared_info;
pub mod vcpu;
pub mod version;
pub mod xen;
