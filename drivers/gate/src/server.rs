//! The side that has the disks.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::pin;

use exec::{Executor, Mailbox, Notify};
use futures_util::future::{Either, select};
use geom::disk::{Command, DiskInfo, DiskLimits, DiskParams, DiskState};
use geom::id::ProviderId;
use geom::{Access, Device, Errno, Geom, ProviderInfo};

use crate::client::Client;

/// A gate's number, counted by its server side.
pub(crate) type GateId = u64;

/// The disks of a run loop, each shown to another one's GEOM. A handle; clones speak for the same.
#[derive(Clone)]
pub struct Server(Rc<Inner>);

struct Inner {
    exec: Executor,
    geom: Geom,
    /// The way to the client side, which knows this one by its number.
    client: Mailbox<Client>,
    number: u32,
    /// The way back.
    own: Mailbox<Server>,
    gates: RefCell<BTreeMap<GateId, Rc<Open>>>,
    next: Cell<GateId>,
}

/// A disk that is shown.
struct Open {
    device: Device,
    /// Nobody uses it any more.
    closed: Notify,
}

/// What the client side asks of a disk.
#[derive(Debug)]
pub(crate) struct Request {
    /// What to do.
    pub(crate) command: Command,
    /// First byte on the disk.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
    /// Those of a write.
    pub(crate) data: Vec<u8>,
}

/// What may change of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Bytes of the media.
    pub(crate) media_size: u64,
    /// What the disk can do.
    pub(crate) limits: DiskLimits,
}

impl Server {
    /// Shows the disks of `geom`, those that there are and those that come, to the side behind
    /// `client`, which knows this one by `number`. [`look`](Self::look) is to be called whenever
    /// there may be another one.
    pub fn start(exec: &Executor, geom: &Geom, client: &Mailbox<Client>, number: u32) -> Self {
        let own = Mailbox::default();
        let this = Self(Rc::new(Inner {
            exec: exec.clone(),
            geom: geom.clone(),
            client: client.clone(),
            number,
            own: own.clone(),
            gates: RefCell::default(),
            next: Cell::new(0),
        }));
        exec.spawn("gate", own.serve(exec.clone(), this.clone()));
        this
    }

    /// Shows the disks that are not shown yet.
    pub fn look(&self) {
        // Each that is shown is held open, and so not gone.
        if self.0.gates.borrow().len() as u64 == self.0.geom.counters().disks_live {
            return;
        }
        for provider in self.0.geom.providers() {
            if provider.error.is_none() && !self.is_shown(provider.id) {
                self.show(&provider);
            }
        }
    }

    fn is_shown(&self, id: ProviderId) -> bool {
        let gates = self.0.gates.borrow();
        gates.values().any(|open| open.device.id() == id)
    }

    fn show(&self, provider: &ProviderInfo) {
        let name = &provider.name;
        let (Some(params), Ok(device)) = (self.params(provider), self.open(name)) else {
            // It goes at this moment.
            return;
        };
        let inner = &self.0;
        let id = inner.next.get();
        let open = Rc::new(Open {
            device,
            closed: Notify::new(),
        });
        inner.next.set(id + 1);
        inner.gates.borrow_mut().insert(id, open.clone());
        let (number, back) = (inner.number, inner.own.clone());
        inner
            .client
            .send(move |_, client| client.create((number, id), params, back));
        inner.exec.spawn("gate", self.clone().follow(id, open));
    }

    fn open(&self, name: &str) -> Result<Device, geom::OpenError> {
        let geom = &self.0.geom;
        geom.open_as(name, Access::READ_WRITE, "the gate")
            .or_else(|_| geom.open_as(name, Access::READ, "the gate"))
    }

    /// What the client side's GEOM is told of a disk.
    fn params(&self, provider: &ProviderInfo) -> Option<DiskParams> {
        let disks = self.0.geom.disks();
        // Another one of that name may still be leaving.
        let is_live = |disk: &DiskInfo| disk.state == DiskState::Live;
        let mut live = disks.into_iter().filter(is_live);
        let disk = live.find(|disk| disk.name == provider.name)?;
        let digits = disk.name.find(|c: char| c.is_ascii_digit())?;
        let (name, unit) = disk.name.split_at(digits);
        let unit = unit.parse().ok()?;
        Some(DiskParams {
            sector_size: disk.sector_size,
            stripe_size: provider.stripe_size,
            limits: disk.limits,
            read_only: disk.read_only,
            ident: disk.ident,
            description: disk.description,
            ..DiskParams::new(name, unit, disk.media_size)
        })
    }

    /// Tells the client side what becomes of a disk, until it is lost, or closed.
    async fn follow(self, id: GateId, open: Rc<Open>) {
        let (inner, device) = (&self.0, &open.device);
        let gate = (inner.number, id);
        while device.error().is_none() {
            let (changed, closed) = (pin!(device.changed()), pin!(open.closed.notified()));
            if let Either::Right(_) = select(changed, closed).await {
                return;
            }
            let limits = device.limits().filter(|_| device.error().is_none());
            let Some(limits) = limits else {
                break;
            };
            let standing = Standing {
                media_size: device.media_size(),
                limits,
            };
            inner
                .client
                .send(move |_, client| client.change(gate, standing));
        }
        inner.client.send(move |_, client| client.lose(gate));
    }

    /// Carries out a request of the client side's; the bytes of a read.
    ///
    /// # Errors
    /// As the disk has them; [`Errno::NoDevice`] if there is no such gate any more.
    pub(crate) async fn carry_out(self, id: GateId, request: Request) -> Result<Vec<u8>, Errno> {
        let Request {
            command,
            offset,
            length,
            data,
        } = request;
        let open = self.0.gates.borrow().get(&id).cloned();
        let open = open.ok_or(Errno::NoDevice)?;
        let device = &open.device;
        let done = match command {
            Command::Read => {
                let length = usize::try_from(length).map_err(|_| Errno::Invalid)?;
                return device.read(offset, length).await;
            }
            Command::Write => device.write(offset, data),
            Command::Delete => device.delete(offset, length),
            Command::Erase => device.erase(offset, length),
            Command::Flush => device.flush(),
        };
        done.await.map(|()| Vec::new())
    }

    /// Nobody can reach the disk any more through the client side. One that took its name meanwhile
    /// can be shown now.
    pub(crate) fn close(&self, id: GateId) {
        self.refused(id);
        self.look();
    }

    /// The client side cannot show the disk for now.
    pub(crate) fn refused(&self, id: GateId) {
        let open = self.0.gates.borrow_mut().remove(&id);
        if let Some(open) = open {
            open.closed.notify();
        }
    }
}
