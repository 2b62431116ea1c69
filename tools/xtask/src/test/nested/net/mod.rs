//! The domain on dom0's network.
//!
//! - `footing`: dom0's network itself, with a Linux guest on it
//! - `node`: a Xenolith domain on it
//! - `address`: where it has its addresses from
//! - `ping`: echoes of every size
//! - `page`: the page, from dom0 and from the host; `http` asks for it, `metrics` reads the figures
//! - `browser`: the page in a browser
//! - `capture`: packets as they pass
//! - `streams`: long TCP streams with sums
//! - `nbd`: the NBD server and others' clients
//! - `program`: programs of one's own, and how many connections one may have
//! - `lives`: saved and restored under load
//! - `cycles`: an interface comes and goes many times

pub(super) mod address;
pub(super) mod browser;
pub(super) mod capture;
pub(super) mod cycles;
pub(super) mod footing;
mod http;
pub(super) mod lives;
mod metrics;
pub(super) mod nbd;
mod node;
pub(super) mod page;
pub(super) mod ping;
pub(super) mod program;
pub(super) mod streams;
