//! Kernel command line, line editor, and the shell's commands.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
