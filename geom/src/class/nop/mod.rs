//! NOP: a provider that is as the one below, but fails and delays requests as it is told.
//!
//! FreeBSD's gnop(8), the standard way to see what a layer above makes of a bad disk. `xbd0.nop`
//! stands on `xbd0` or on a part of it. What it does to a request is decided by [`Fault`]s and a
//! seeded generator, so a run can be repeated. A delay is at least as long as asked for, counted
//! from the poll after the request.

mod create;
mod disk;
mod error;
mod fault;
mod tap;

pub use create::{NopInfo, NopParams};
pub use error::NopError;
pub use fault::{Effect, Fault, MILLION};
pub use tap::NopCounts;
pub(crate) use tap::Tap;
