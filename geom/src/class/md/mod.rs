//! MD: disks in memory, `md0`, `md1`, ...
//!
//! FreeBSD's md(4) of type malloc, over pages that the embedder gives
//! ([`PageSource`](crate::PageSource)). A disk is thin unless it is reserved: what was never
//! written, or was deleted, has no page and reads as zeros. A write that finds no page fails with
//! `ENOSPC`, alone.
//!
//! # Copies that are put off
//!
//! A request completes when its copies were asked for, which may be before they are made
//! ([`Memory`](crate::Memory)). Its maker settles its memory before it tells anybody that the
//! request has ended, so until then every other request is concurrent with it, and may see the page
//! before or after it. What must be in order is: copies put off are made in the order they were
//! asked for, and where this class changes bytes itself (it zeroes a part of a page, or one that is
//! erased or reserved) it has the source settle first. A page that is freed meanwhile stays alive
//! in the copies that know it, and is nobody else's until they are made.

mod create;
mod disk;
mod error;
mod store;

pub use create::{MdInfo, MdParams};
pub use error::MdError;
pub(crate) use store::Store;
