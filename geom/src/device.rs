//! DEV: how an application holds a provider open.

use alloc::rc::Rc;
use alloc::string::String;
use core::future::poll_fn;
use core::task::{Context, Poll};

use crate::access::{Access, OpenError};
use crate::bio::Command;
use crate::completions::Completions;
use crate::disk::Attribute;
use crate::errno::Errno;
use crate::id::{ConsumerId, DiskId, ProviderId};
use crate::memory::Buffer;
use crate::mesh::Mesh;
use crate::open::plain;
use crate::request::{Io, Maker, Order, ReadIo};

/// An open provider. Dropping it closes it, which cannot fail: requests that are out finish, and
/// the counts drop after the last of them.
///
/// Requests start when their method is called, not when the future is first polled, and go on when
/// the future is dropped. Offsets and lengths are bytes and must be multiples of the sector size; a
/// range that ends beyond the media is refused as a whole. When the provider is lost, requests fail
/// with [`Errno::NoDevice`] until the device is dropped.
///
/// A request without an open device does not compile:
///
/// ```compile_fail,E0382
/// fn late(device: geom::Device) {
///     drop(device);
///     let _ = device.flush();
/// }
/// ```
pub struct Device {
    mesh: Rc<Mesh>,
    consumer: ConsumerId,
    provider: ProviderId,
    name: String,
}

impl Device {
    pub(crate) fn new(
        mesh: Rc<Mesh>,
        consumer: ConsumerId,
        provider: ProviderId,
        name: String,
    ) -> Self {
        Self {
            mesh,
            consumer,
            provider,
            name,
        }
    }

    /// The provider's name when it was opened.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The provider's id.
    #[must_use]
    pub fn id(&self) -> ProviderId {
        self.provider
    }

    /// The disk that its requests go to, through all layers that only move them; `None` once that
    /// is gone.
    #[must_use]
    pub fn disk(&self) -> Option<DiskId> {
        let graph = self.mesh.graph.borrow();
        let provider = graph.providers.get(self.provider);
        provider.map(|provider| provider.base.disk)
    }

    /// The name of that disk.
    #[must_use]
    pub fn disk_name(&self) -> Option<String> {
        let graph = self.mesh.graph.borrow();
        let disk = graph.providers.get(self.provider)?.base.disk;
        graph.disks.get(disk).map(|disk| String::from(&*disk.name))
    }

    /// Bytes of the media.
    #[must_use]
    pub fn media_size(&self) -> u64 {
        let graph = self.mesh.graph.borrow();
        graph
            .providers
            .get(self.provider)
            .map_or(0, |provider| provider.media_size)
    }

    /// Bytes of a sector.
    #[must_use]
    pub fn sector_size(&self) -> u32 {
        let graph = self.mesh.graph.borrow();
        graph
            .providers
            .get(self.provider)
            .map_or(0, |provider| provider.sector_size)
    }

    /// Why the provider was lost; `None` while it lives.
    #[must_use]
    pub fn error(&self) -> Option<Errno> {
        self.mesh.graph.borrow().loss(self.provider)
    }

    /// What the disk below can do now.
    #[must_use]
    pub fn limits(&self) -> Option<crate::disk::DiskLimits> {
        let graph = self.mesh.graph.borrow();
        let base = graph.providers.get(self.provider)?.base;
        graph.disks.get(base.disk).map(|disk| disk.params.limits)
    }

    /// Whether the disk below cannot be written, so that an open for writing is refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let graph = self.mesh.graph.borrow();
        let provider = graph.providers.get(self.provider);
        let disk = provider.and_then(|provider| graph.disks.get(provider.base.disk));
        disk.is_some_and(|disk| disk.params.read_only)
    }

    /// Raised with each change of size, media, limits or attributes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        let graph = self.mesh.graph.borrow();
        graph
            .providers
            .get(self.provider)
            .map_or(u64::MAX, |provider| provider.generation)
    }

    /// Whether the provider was changed since this was last ready, or since the device was opened:
    /// its size, media, limits or attributes, as [`generation`](Self::generation) counts them. Of a
    /// lost provider it is always ready: nothing will change any more. If it is not, the waker of
    /// `context`, which replaces the one of an earlier call, is woken when it is; the poll of GEOM
    /// that makes the change does that.
    pub fn poll_changed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.mesh.poll_changed(self.consumer, context)
    }

    /// Ends when [`poll_changed`](Self::poll_changed) is ready. Only the last of several waits of
    /// one device is woken.
    pub async fn changed(&self) {
        poll_fn(|context| self.poll_changed(context)).await;
    }

    /// Changes what the device is open for. A device never conflicts with itself.
    ///
    /// # Errors
    /// As for an open, and [`Errno::Busy`] if something would be given up while requests are out.
    /// The access stays as it was then.
    pub fn set_access(&self, access: Access) -> Result<(), OpenError> {
        if access == Access::default() {
            return Err(plain(Errno::Invalid, &self.name));
        }
        self.mesh.set_access(self.consumer, access)
    }

    /// Reads `length` bytes at `offset` into new memory.
    pub fn read(&self, offset: u64, length: usize) -> ReadIo {
        let data = Buffer::zeroed(length);
        let io = self.read_into(offset, data.clone());
        ReadIo {
            ticket: io.ticket,
            data,
        }
    }

    /// Reads as many bytes as `data` has at `offset` into it.
    pub fn read_into(&self, offset: u64, data: Buffer) -> Io {
        self.start(Command::Read, offset, data.len() as u64, data, false)
    }

    /// Writes `data` at `offset`.
    pub fn write(&self, offset: u64, data: impl Into<Buffer>) -> Io {
        let data = data.into();
        self.start(Command::Write, offset, data.len() as u64, data, false)
    }

    /// Writes `data` at `offset`, after everything that was started on this disk before and before
    /// everything that is started later.
    pub fn write_ordered(&self, offset: u64, data: impl Into<Buffer>) -> Io {
        let data = data.into();
        self.start(Command::Write, offset, data.len() as u64, data, true)
    }

    /// Tells that `length` bytes at `offset` are not needed any more.
    pub fn delete(&self, offset: u64, length: u64) -> Io {
        self.start(Command::Delete, offset, length, Buffer::zeroed(0), false)
    }

    /// Has the content of `length` bytes at `offset` destroyed, beyond recovery.
    pub fn erase(&self, offset: u64, length: u64) -> Io {
        self.start(Command::Erase, offset, length, Buffer::zeroed(0), false)
    }

    /// Completes when everything that was started on this disk before is on stable media.
    pub fn flush(&self) -> Io {
        self.start(Command::Flush, 0, 0, Buffer::zeroed(0), true)
    }

    /// Starts a request that ends in `completions`, under `tag`, as all the others that were
    /// submitted with it: for a holder with many of them. What is refused, and what the driver
    /// completes at once, may have ended when this returns. A request also ends there when the
    /// device was dropped meanwhile.
    pub fn submit(&self, order: Order, tag: u64, completions: &Rc<Completions>) {
        completions.reserve();
        let maker = Maker::Completions(completions.clone(), tag);
        self.mesh.submit(self.consumer, order, maker);
    }

    fn start(&self, command: Command, offset: u64, length: u64, data: Buffer, ordered: bool) -> Io {
        let order = Order {
            command,
            offset,
            length,
            data,
            ordered,
        };
        Io {
            ticket: self.mesh.start(self.consumer, order),
        }
    }

    /// An attribute by name: of the partition, of the driver, or one that GEOM knows of every disk
    /// (`GEOM::ident`, `GEOM::descr`, `GEOM::candelete`, `GEOM::canflush`, `GEOM::fwsectors`,
    /// `GEOM::fwheads`).
    ///
    /// # Errors
    /// [`Errno::NotFound`] if nobody knows it, [`Errno::NoDevice`] if the provider is lost, or what
    /// the driver says.
    pub fn attribute(&self, name: &str) -> Result<Attribute, Errno> {
        self.mesh.attribute(self.provider, name)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.mesh.close(self.consumer);
    }
}
