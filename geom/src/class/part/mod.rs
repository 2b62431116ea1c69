//! PART: partition tables. A pure codec over [`Media`](crate::media::Media), and the class on it.
//!
//! Rules are FreeBSD's (`sys/geom/part`), so that a disk means the same here and there; where we
//! differ the text says so. Nothing here panics, allocates beyond the media's budget, or trusts a
//! number from the disk before it was compared with the media.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`class`] | PART as a class: names and properties of its providers |
//! | [`parse`] | which scheme a media carries, and the whole parse in one call |
//! | [`table`] | the validated result: scheme, state, partitions |
//! | [`reason`] | everything that can be wrong with a table, as text for the console |
//! | [`gpt`] | both copies of a GPT, and which of them counts |
//! | [`header`] | one GPT header: decode, check, encode |
//! | [`entry`] | one GPT entry: decode, encode, labels |
//! | [`mbr`] | the four primary partitions |
//! | [`ebr`] | the chain of logical partitions in an extended one |
//! | [`recover`] | the writes that make both copies of a GPT good again |
//! | [`guid`] | GUIDs and partition types, with the names people know them by |
//! | `le` | little-endian numbers out of untrusted bytes |

pub mod class;
pub mod ebr;
pub mod entry;
pub mod gpt;
pub mod guid;
pub mod header;
mod le;
pub mod mbr;
pub mod parse;
pub mod reason;
pub mod recover;
pub mod table;

pub use class::Part;
