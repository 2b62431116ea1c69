//! What runs the domain's tasks: a single-threaded executor whose time is an argument.
//!
//! Tasks belong to one run loop, so no future need be `Send`. Nothing here reads a clock, blocks or
//! knows Xen: the run loop calls [`Executor::turn`] with the time, and asks
//! [`Executor::next_deadline`] how long it may sleep. The simulator does the same with its own
//! time.
//!
//! - [`executor`]: [`Executor`]: tasks, and which of them are ready
//! - [`crossing`]: [`Mailbox`], [`Latest`]: from one run loop to another
//! - [`timer`]: [`Sleep`], [`Elapsed`]: deadlines
//! - [`heeding`]: [`Heeding`]: a future polled only when it asked for it
//! - [`notify`]: [`Notify`]: one task tells another that something changed
//! - [`log`]: [`Log`]: the ring of log lines behind the console and `dmesg`
//! - [`limit`]: how often one part may speak
//! - [`trace`]: [`Trace`]: the last things that happened, for the epitaph
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod crossing;
pub mod executor;
pub mod heeding;
mod limit;
pub mod log;
pub mod notify;
pub mod timer;
pub mod trace;

pub use crossing::{Answer, Latest, Mailbox};
pub use executor::{Executor, TaskUse};
pub use heeding::Heeding;
pub use log::{Level, Line, Log};
pub use notify::Notify;
pub use timer::{Elapsed, Sleep};
pub use trace::{Trace, TraceEntry};
