//! The house rules, as checks of the tree.
//!
//! - [`tree`]: the files and packages the checks look at
//! - [`rules`]: the list of checks
//! - [`dependencies`]: ARCHITECTURE.md's table says who uses whom
//! - [`unsafe_list`]: UNSAFE.md lists the files with unsafe code
//! - [`forbid`]: everywhere else it is forbidden, crate by crate
//! - [`size`]: short files, short lines
//! - [`names`]: no file is named after nothing
//! - [`tours`]: `lib.rs` and `mod.rs` show the way and do nothing
//! - [`leftovers`]: no commented-out code, no path of one machine, no registry's host
//! - [`rust`]: Rust text without comments and strings

mod dependencies;
mod forbid;
mod leftovers;
mod names;
mod rules;
mod rust;
mod size;
mod tours;
mod tree;
mod unsafe_list;

pub(crate) use rules::{check, command};
