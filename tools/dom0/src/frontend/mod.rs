//! A block frontend as a process of dom0, honest or not: what the driver domain's backend is tried
//! against in a real Xen, where Linux's own frontend never lies.
//!
//! It makes the nodes of one vbd in xenstore as libxl does for a backend in another domain, grants
//! pages by Linux's gntalloc, and then does what it is told, line by line. Whatever becomes of it,
//! the nodes go: a second process of it waits for its end.
//!
//! - [`options`]: its command line
//! - `order`: what it is told on its standard input
//! - [`device`]: obeys, one order after the other
//! - `handshake`, `memory`, `traffic`: the orders about xenstore, pages and the ring
//! - `work`: honest load, checked
//! - `nodes`: one vbd in xenstore
//! - `keys`: what a frontend publishes
//! - `queue`: a ring and its event channel
//! - `slot`: a ring's entries in both layouts
//! - `page`: pages for data
//! - `pattern`: what is written to the disk
//! - `probe`: keeps dom0's own frontend away
//! - `sweep`: the second process

pub mod device;
mod handshake;
mod keys;
mod memory;
mod nodes;
pub mod options;
mod order;
mod page;
mod pattern;
mod probe;
mod queue;
mod slot;
mod sweep;
mod traffic;
mod work;
