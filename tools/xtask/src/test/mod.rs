//! The gate: everything that can be checked, in parts.
//!
//! - [`options`]: how it is run
//! - [`gate`]: the parts, in order
//! - [`report`]: what each part found, and the last line
//! - [`tools`]: formatting, clippy, documentation
//! - [`host`]: the tests that run here; [`libtest`] reads what their programs print
//! - [`image`]: the image's build and the checks of the finished file
//! - [`nested`]: the tests that run in nested Xen
//! - [`program`]: running a program with a time limit
//! - [`need`]: what must be installed

mod gate;
mod host;
mod image;
mod libtest;
mod need;
mod nested;
mod options;
mod program;
mod report;
mod tools;

pub(crate) use gate::command;
pub(crate) use options::{HELP, Options};
