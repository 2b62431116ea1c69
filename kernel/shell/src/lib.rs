//! Kernel command line, line editor, and the shell's commands.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod completion;
pub mod editor;
pub mod help;
pub mod hexdump;
pub mod number;
pub mod pattern;
pub mod request;
pub mod settings;
pub mod table;
pub mod words;
