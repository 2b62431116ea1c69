//! What must hold for the finished file. Each check says what is wrong, or nothing.
//!
//! - [`list`]: the checks, and what they look at
//! - [`kind`]: ELF64 for x86-64, EXEC, one writable-or-executable choice per segment
//! - [`relocations`]: nothing is left to relocate
//! - [`notes`]: the Xen notes
//! - [`instructions`]: the functions' instructions, for the checks that read them
//! - [`red_zone`]: no function uses memory below its stack pointer
//! - [`tls`]: no thread-local storage
//! - [`xen_sys`]: no function of xen-sys
//! - [`same`]: the debug file loads the same bytes
//! - [`size`]: small enough

mod instructions;
mod kind;
mod list;
mod notes;
mod red_zone;
mod relocations;
mod same;
mod size;
mod tls;
mod xen_sys;

pub(crate) use list::{CHECKS, Finished};

#[cfg(test)]
mod tests;
