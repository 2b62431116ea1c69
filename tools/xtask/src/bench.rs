//! `cargo xtask bench`: figures, each a ratio to a named peer in the same nest.
//!
//! - [`boot`]: how fast it boots
//! - [`guests`]: who boots against whom
//! - [`figures`]: the smallest, the middle and the largest

mod boot;
mod figures;
mod guests;

pub(crate) use boot::command;
