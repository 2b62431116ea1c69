//! `io/protocols.h`: the frontend's key `protocol` names the layout of its ring's entries.

/// The layout a 64-bit x86 compiler gives them.
pub const X86_64: &str = "x86_64-abi";
/// The layout a 32-bit x86 compiler gives them.
pub const X86_32: &str = "x86_32-abi";
