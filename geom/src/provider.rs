//! A provider: a range of media under a name, which can be opened.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::access::Counts;
use crate::class::Slice;
use crate::errno::Errno;
use crate::event::Pending;
use crate::id::{ConsumerId, DiskId, GeomId, ProviderId};

/// Where the bytes of a provider are in the end: layers that only remap are folded into this when
/// the provider is made, so a request is remapped once, however many of them there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) disk: DiskId,
    pub(crate) offset: u64,
}

/// How far the orphaning of a provider has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orphan {
    No,
    /// On the doorstep.
    Queued,
    /// All consumers were told.
    Served,
}

/// What tasting has made of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasted {
    /// Its taste was not begun.
    Pending,
    /// Its taste is running.
    Running,
    /// Its taste is done.
    Done,
    /// It is open for writing; it will be tasted at the last close.
    Writing,
    /// The taste missed its deadline; it goes on when its read returns.
    Late,
    /// It could not be opened for tasting.
    Failed(Errno),
    /// It lies too deep, or has no media.
    Never,
}

/// A node of the graph.
pub(crate) struct Provider {
    pub(crate) id: ProviderId,
    pub(crate) name: Rc<str>,
    pub(crate) geom: GeomId,
    pub(crate) media_size: u64,
    pub(crate) sector_size: u32,
    pub(crate) stripe_size: u64,
    /// Set once, at the loss: new opens and new I/O bounce with it.
    pub(crate) error: Option<Errno>,
    pub(crate) orphan: Orphan,
    pub(crate) counts: Counts,
    pub(crate) consumers: Vec<ConsumerId>,
    pub(crate) base: Base,
    /// The schemes it lies in, innermost first.
    pub(crate) outer: Vec<&'static str>,
    pub(crate) pending: Pending,
    pub(crate) tasted: Tasted,
    /// Raised with each change of size, media or attributes.
    pub(crate) generation: u64,
    /// For a slicer's provider: the range of the table it stands for.
    pub(crate) slice: Option<Slice>,
}

impl Provider {
    /// Whether a lookup by name may find it.
    pub(crate) fn is_live(&self) -> bool {
        self.error.is_none()
    }
}

/// A provider as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderInfo {
    /// Stable for the provider's life, never used again.
    pub id: ProviderId,
    /// Such as `xbd0p1`.
    pub name: String,
    /// The class that made it, such as `DISK` or `PART`.
    pub class: &'static str,
    /// Bytes.
    pub media_size: u64,
    /// Bytes.
    pub sector_size: u32,
    /// Bytes; 0 if nothing is known.
    pub stripe_size: u64,
    /// First byte on its disk.
    pub offset: u64,
    /// The type of a partition, as its table has it.
    pub kind: String,
    /// Its label there, or the one that a disk was made with.
    pub label: String,
    /// Open counts.
    pub counts: Counts,
    /// How far its taste is.
    pub tasted: Tasted,
    /// Why it cannot be opened any more.
    pub error: Option<Errno>,
    /// Raised with each change of size, media or attributes.
    pub generation: u64,
}
