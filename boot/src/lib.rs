//! What every image is made of: the first instructions, the run loop, and the doors for what it
//! runs.
//!
//! An image is a program without a main function that says by one of two macros what it runs:
//! [`image!`] has a whole domain, with shell, status page and what it serves (`src/main.rs`), and
//! [`program!`] one function of yours (`examples/`). Each is linked by `link.ld`; `cargo xtask
//! build` and `cargo xtask image` give the flags that it needs, and check the finished file.
//!
//! - `entry`: ELF notes and first instructions, and who comes next
//! - [`domain`]: a whole domain
//! - [`program`]: one program
//! - `run_loop`: turning either
#![no_std]

extern crate alloc;

pub mod domain;
mod entry;
pub mod program;
mod run_loop;

pub use machine::Xen;
