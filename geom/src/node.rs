//! A geom, one instance of a class, and its consumer.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::task::Waker;

use crate::access::Counts;
use crate::id::{ConsumerId, DiskId, GeomId, ProviderId};

/// What a geom is an instance of.
pub(crate) enum Kind {
    /// A disk. Only one that stands on a provider has a consumer.
    Disk {
        /// Its record.
        disk: DiskId,
        /// Its class.
        class: &'static str,
    },
    /// A slicer's instance over one provider.
    Slicer(Slicer),
    /// The temporary geom that reads for the tasters.
    Taste,
    /// An application's open.
    Dev {
        /// Who, for refusals and dumps.
        holder: String,
    },
}

/// A slicer's instance.
pub(crate) struct Slicer {
    /// Index into the list of classes.
    pub(crate) class: usize,
    pub(crate) class_name: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) defect: Option<String>,
    pub(crate) config: Vec<(&'static str, String)>,
}

/// A node of the graph. Every kind has at most one consumer.
pub(crate) struct Node {
    pub(crate) id: GeomId,
    pub(crate) kind: Kind,
    pub(crate) name: Rc<str>,
    /// 1 + the rank of the geom below.
    pub(crate) rank: u32,
    /// To be destroyed as soon as nothing holds it.
    pub(crate) wither: bool,
    /// On the queue of geoms to wash.
    pub(crate) washing: bool,
    pub(crate) consumer: Option<ConsumerId>,
    pub(crate) providers: Vec<ProviderId>,
}

impl Node {
    /// Whether spoiling concerns it. An application only holds the name.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self.kind, Kind::Slicer(_) | Kind::Taste)
    }

    pub(crate) fn class_name(&self) -> &'static str {
        match &self.kind {
            Kind::Disk { class, .. } => class,
            Kind::Slicer(slicer) => slicer.class_name,
            Kind::Taste => "TASTE",
            Kind::Dev { .. } => "DEV",
        }
    }
}

/// An attachment of a geom to a provider. It is attached for as long as it exists, so there is no
/// request without an attachment.
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) geom: GeomId,
    pub(crate) provider: ProviderId,
    pub(crate) counts: Counts,
    /// It reads for a taste.
    pub(crate) tastes: bool,
    /// Requests made through it that have not ended.
    pub(crate) in_flight: u32,
    /// Somebody else opened the provider for writing, and this consumer was not told yet.
    pub(crate) spoiled: bool,
    /// It was told that the provider is lost, or has left it by itself.
    pub(crate) orphan: bool,
    /// How often it was told; never more than once.
    pub(crate) orphan_calls: u32,
    /// The generation of the provider that its holder has seen.
    pub(crate) seen: u64,
    /// Of a holder that waits for a change of the provider.
    pub(crate) waker: Option<Waker>,
    /// On the queue of consumers whose holder is to be woken.
    pub(crate) notified: bool,
    /// Its holder has closed it; the counts drop when `in_flight` is 0.
    pub(crate) closing: bool,
}

/// A geom as lists show it, with its consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeomInfo {
    /// Stable for the geom's life, never used again.
    pub id: GeomId,
    /// Such as `PART`.
    pub class: &'static str,
    /// Such as `xbd0`.
    pub name: String,
    /// The scheme of a table, the state of a disk, who holds a provider.
    pub detail: String,
    /// What is wrong with its table.
    pub defect: Option<String>,
    /// To be destroyed as soon as nothing holds it.
    pub withering: bool,
    /// What it stands on.
    pub consumer: Option<ConsumerInfo>,
    /// What it makes of it.
    pub providers: Vec<ProviderId>,
}

/// An attachment to a provider, as lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// To this one.
    pub provider: ProviderId,
    /// Its open counts.
    pub counts: Counts,
    /// Requests made through it that have not ended.
    pub in_flight: u32,
}
