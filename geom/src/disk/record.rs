//! What the graph keeps of a disk.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;

use crate::bio::Command;
use crate::disk::door::Door;
use crate::disk::gate::Passage;
use crate::disk::{DiskLimits, DiskParams, DiskState};
use crate::id::{GeomId, ProviderId, RequestId};
use crate::request::Rest;

/// A disk from its creation to the moment it is gone and destroyed.
pub(crate) struct DiskRecord {
    pub(crate) name: Rc<str>,
    pub(crate) params: DiskParams,
    pub(crate) state: DiskState,
    pub(crate) door: Rc<Door>,
    /// The DISK geom, from the create event until it is washed away.
    pub(crate) geom: Option<GeomId>,
    /// The provider that new opens find; older ones may still wither.
    pub(crate) provider: Option<ProviderId>,
    /// The driver is open: its `open` succeeded and its `close` was not called yet.
    pub(crate) open: bool,
    /// The last holder has closed, the driver must be.
    pub(crate) close_due: bool,
    /// Pieces the driver owns now.
    pub(crate) in_flight: u32,
    /// What waits to be handed to the driver, in order.
    pub(crate) queue: VecDeque<Rest>,
    /// It stands in the queue of disks with requests to send.
    pub(crate) sending: bool,
    /// The ordered request that nothing may pass.
    pub(crate) barrier: Option<RequestId>,
    /// The driver needs the record no more.
    pub(crate) destroyed: bool,
}

impl DiskRecord {
    pub(crate) fn new(name: Rc<str>, params: DiskParams, door: Rc<Door>) -> Self {
        Self {
            name,
            params,
            state: DiskState::Queued,
            door,
            geom: None,
            provider: None,
            open: false,
            close_due: false,
            in_flight: 0,
            queue: VecDeque::new(),
            sending: false,
            barrier: None,
            destroyed: false,
        }
    }

    /// Whether requests may still be handed to the driver.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, DiskState::Queued | DiskState::Live)
    }

    /// Whether nothing is in the way to the driver of what has just passed the gate as one piece
    /// that is not ordered.
    #[inline]
    pub(crate) fn is_clear(&self, command: Command, passage: &Passage) -> bool {
        passage.length <= self.params.limits.longest(command)
            && passage.sector_size == self.params.sector_size
            && passage.offset + passage.length <= self.params.media_size
            && self.queue.is_empty()
            && self.barrier.is_none()
            && self.door.is_free()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty() && !self.open && !self.close_due
    }
}

/// A disk as `disk list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskInfo {
    /// Such as `xbd0`.
    pub name: String,
    /// Where it is in its life.
    pub state: DiskState,
    /// Bytes.
    pub media_size: u64,
    /// Bytes.
    pub sector_size: u32,
    /// What it can do.
    pub limits: DiskLimits,
    /// Whether writing is refused.
    pub read_only: bool,
    /// Requests the driver owns.
    pub in_flight: u32,
    /// What identifies the device.
    pub ident: String,
    /// The model.
    pub description: String,
}
