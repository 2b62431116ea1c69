//! The interface of a class that cuts a provider into ranges.

use alloc::string::String;
use alloc::vec::Vec;

use crate::media::{Media, Need};

/// A class that tastes. It is a pure function of the media: it holds nothing, and the core opens,
/// reads and closes for it.
pub trait Class {
    /// The class's name in capitals, such as `PART`.
    fn name(&self) -> &'static str;

    /// Decides whether this media carries something of this class. `outer` names the schemes this
    /// provider already lies in, innermost first, for a class that must not nest.
    ///
    /// # Errors
    /// What must be read before it can decide. It is run again from the start afterwards.
    fn taste(&self, media: &Media, outer: &[&'static str]) -> Result<Verdict, Need>;
}

/// What a taste found.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing of this class.
    NotMine,
    /// Something of this class that cannot be used, with the reason in words.
    Damaged(String),
    /// A table to make providers from.
    Mine(Table),
}

/// How a slicer cuts its provider.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The kind of table, such as `GPT`.
    pub scheme: &'static str,
    /// What is wrong with it, if it is usable but not whole.
    pub defect: Option<String>,
    /// Ranges, in the order of their index.
    pub slices: Vec<Slice>,
    /// What a dump tells about the table: key and value.
    pub config: Vec<(&'static str, String)>,
}

/// One range of a provider, to become a provider of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// What is added to the provider's name, such as `p1`.
    pub suffix: String,
    /// The number in the table, from 1.
    pub index: u32,
    /// First byte; a multiple of the sector size.
    pub start: u64,
    /// Number of bytes; a multiple of the sector size, not 0.
    pub length: u64,
    /// What a dump and [`Device::attribute`](crate::Device::attribute) tell about it: key and
    /// value.
    pub config: Vec<(&'static str, String)>,
}
