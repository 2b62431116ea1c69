//! The graph prints itself: as a tree and a list for people, as JSON and dot for programs. All ids
//! are stable.

mod dot;
mod json;
mod list;
mod tree;
