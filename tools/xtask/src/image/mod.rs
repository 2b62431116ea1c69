//! The image: building it, finishing it, and checking the finished file.
//!
//! - [`build`]: cargo's part, then the two files it leaves
//! - [`elf`]: an ELF file as plain values
//! - [`names`]: the table of function names inside the image
//! - [`strip`]: the finished file
//! - [`check`]: what must hold for it
//! - [`symbolize`]: source lines for the addresses in a log

pub(crate) mod build;
pub(crate) mod check;
mod elf;
mod names;
mod strip;
pub(crate) mod symbolize;
