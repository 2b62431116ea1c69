//! The shell: a line editor, one table of commands, and the kernel command line.
//!
//! Names come from one place, [`table`]: dispatch, `help`, completion, `COMMANDS.md` and the keys
//! of the kernel command line all read it.
//!
//! Text:
//! - [`words`]: cutting lines into commands and words, with quotes
//! - [`number`]: numbers as people write them
//! - [`settings`]: [`Settings`](settings::Settings), what the kernel command line asks for
//! - [`table`]: [`TABLE`](table::TABLE), every command and every key
//! - [`request`]: [`Request`](request::Request), what a line asks for
//! - [`help`]: the text of `help`
//! - [`completion`]: what Tab may add
//! - [`editor`]: [`Editor`](editor::Editor): bytes from a VT100 in, lines and echo out
//! - [`hexdump`], [`date`]: bytes and times as text
//! - [`pattern`]: the bytes that `fill` writes
//!
//! At work:
//! - [`shell`]: [`Shell`](shell::Shell), which serves a console
//! - [`command`]: what each command does, to which [`Parts`](command::Parts) of the domain
//! - [`output`]: where commands write
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod command;
pub mod completion;
pub mod date;
pub mod editor;
pub mod help;
pub mod hexdump;
pub mod number;
pub mod output;
pub mod pattern;
pub mod request;
pub mod settings;
pub mod shell;
pub mod table;
pub mod words;
