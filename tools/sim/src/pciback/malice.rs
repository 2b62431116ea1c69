//! What a hostile PCI backend does differently.

use std::time::Duration;

/// What the frontend asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Counted from 1.
    pub number: u64,
    /// `XEN_PCI_OP_*`.
    pub command: u32,
    /// Slot and function.
    pub devfn: u32,
    /// The register.
    pub offset: u32,
    /// Its size.
    pub size: u32,
    /// What is to be written, or how many vectors there should be.
    pub value: u32,
}

/// What is answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Success, with this value.
    Value(u32),
    /// Success, with these vectors.
    Vectors(Vec<u16>),
    /// This error, whatever was done.
    Error(i32),
    /// Nothing, ever.
    Silence,
    /// The truth, so much later.
    Late(Duration),
    /// The truth, with this word of the operation changed.
    Word(usize, u32),
    /// The truth, with these flags set as well.
    Flags(u32),
}

/// Decides on each operation; honest without.
pub type Liar = Box<dyn FnMut(&Asked) -> Option<Lie>>;
