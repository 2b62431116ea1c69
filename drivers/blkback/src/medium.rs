//! What is exported: an open provider, and where it was opened.
//!
//! Where a domain has several run loops, one of them has the whole of GEOM's graph, and others have
//! disks. An export is served where its disk is: the provider is held open in the graph, so that
//! all its rules hold, and its requests go straight to the disk, moved by where it starts there.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use core::cell::RefCell;
use core::mem::take;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use exec::{Answer, Executor, Latest, Mailbox, Notify};
use futures_util::future::select;
use geom::disk::DiskLimits;
use geom::id::DiskId;
use geom::{Access, Completions, Device, Errno, Geom, OpenError, Order};

/// Where no disk is: GEOM refuses what is asked for there.
const BEYOND: u64 = 1 << 63;
/// How often it is looked whether the last request of a medium has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The providers that exports are of; clones are the same ones.
#[derive(Clone)]
pub enum Providers {
    /// Those of this run loop.
    Here(Geom),
    /// Those of another one, on disks that are in this.
    There {
        /// The way to where the graph is.
        graph: Mailbox<Geom>,
        /// GEOM with the disks alone.
        disks: Geom,
    },
}

/// An open provider. Dropping it closes it, once its last request has ended.
pub(crate) struct Medium {
    name: String,
    device: Rc<Device>,
    /// The first byte of it on its disk.
    start: u64,
    /// What the media likes requests to be aligned to, in bytes; 0 if nothing is known.
    stripe_size: u64,
    /// Of one of another run loop's.
    window: Option<Rc<Window>>,
}

/// A provider of another run loop, of whose disk only its own part is to be reached.
struct Window {
    /// Bytes of it, as the graph has them now; 0 once it is lost.
    size: Arc<AtomicU64>,
    latest: Latest<Opening>,
    /// Where its requests end.
    completions: RefCell<Option<Rc<Completions>>>,
    /// Its medium is dropped.
    left: Notify,
}

/// What came of opening a provider in another run loop, and of it since.
#[derive(Default)]
enum Opening {
    #[default]
    Pending,
    /// There is none of that name.
    Absent,
    Refused(OpenError),
    Open(Part),
    Lost(Errno),
}

/// A part of a disk.
struct Part {
    disk: String,
    start: u64,
    stripe_size: u64,
}

impl Providers {
    /// Opens the provider of that name for `holder`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Geom::open_as`] has them.
    pub(crate) async fn open(
        &self,
        exec: &Executor,
        name: &str,
        access: Access,
        holder: &str,
    ) -> Result<Option<Medium>, OpenError> {
        match self {
            Self::Here(geom) => {
                let Some(provider) = geom.provider(name) else {
                    return Ok(None);
                };
                Ok(Some(Medium {
                    name: String::from(name),
                    device: Rc::new(geom.open_as(name, access, holder)?),
                    start: provider.offset,
                    stripe_size: provider.stripe_size,
                    window: None,
                }))
            }
            Self::There { graph, disks } => {
                open_there(exec, (graph, disks), name, access, holder).await
            }
        }
    }
}

async fn open_there(
    exec: &Executor,
    (graph, disks): (&Mailbox<Geom>, &Geom),
    name: &str,
    access: Access,
    holder: &str,
) -> Result<Option<Medium>, OpenError> {
    let (latest, size) = (Latest::new(Opening::Pending), Arc::new(AtomicU64::new(0)));
    let (wanted, who) = (String::from(name), String::from(holder));
    let told = (latest.clone(), size.clone());
    let open = graph.ask(move |geom: &Geom| hold(geom.clone(), wanted, access, who, told));
    latest.told().await;
    let part = match latest.with(take) {
        Opening::Open(part) => part,
        Opening::Refused(why) => return Err(why),
        Opening::Pending | Opening::Absent | Opening::Lost(_) => return Ok(None),
    };
    // Who else may use it is for the graph to say.
    let access = Access {
        exclusive: false,
        ..access
    };
    let device = match disks.open_as(&part.disk, access, holder) {
        Ok(device) => Rc::new(device),
        // The graph has not heard yet that the disk is gone.
        Err(why) if matches!(why.errno, Errno::NotFound | Errno::NoDevice) => return Ok(None),
        Err(why) => return Err(why),
    };
    let window = Rc::new(Window {
        size,
        latest,
        completions: RefCell::default(),
        left: Notify::new(),
    });
    let kept = keep(exec.clone(), device.clone(), window.clone(), open);
    exec.spawn("export's medium", kept);
    Ok(Some(Medium {
        name: String::from(name),
        device,
        start: part.start,
        stripe_size: part.stripe_size,
        window: Some(window),
    }))
}

/// Keeps a provider open in the graph until the last request of its medium has ended: nobody else
/// may have it while one could still change it.
async fn keep(exec: Executor, device: Rc<Device>, window: Rc<Window>, open: Answer<()>) {
    window.left.notified().await;
    let completions = window.completions.take();
    while completions
        .as_ref()
        .is_some_and(|completions| completions.outstanding() > 0)
    {
        exec.sleep(LOOK).await;
    }
    drop(device);
    drop(open);
}

/// Holds a provider open for another run loop, and tells what becomes of it.
async fn hold(
    geom: Geom,
    name: String,
    access: Access,
    holder: String,
    (latest, size): (Latest<Opening>, Arc<AtomicU64>),
) {
    if geom.provider(&name).is_none() {
        return latest.tell(|opening| *opening = Opening::Absent);
    }
    let device = match geom.open_as(&name, access, &holder) {
        Ok(device) => device,
        Err(why) => return latest.tell(|opening| *opening = Opening::Refused(why)),
    };
    loop {
        let lost = device.error();
        let part = geom.provider(&name).map(|provider| Part {
            disk: device.disk_name().unwrap_or_default(),
            start: provider.offset,
            stripe_size: provider.stripe_size,
        });
        let is_there = part.is_some() && lost.is_none();
        let bytes = if is_there { device.media_size() } else { 0 };
        size.store(bytes, Ordering::Release);
        latest.tell(|opening| {
            *opening = match (lost, part) {
                (None, Some(part)) => Opening::Open(part),
                (lost, _) => Opening::Lost(lost.unwrap_or(Errno::NoDevice)),
            }
        });
        if lost.is_some() {
            // It stays open until it is dropped, as everywhere.
            return core::future::pending().await;
        }
        device.changed().await;
    }
}

impl Medium {
    /// The provider's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The disk that its requests go to.
    pub(crate) fn disk(&self) -> Option<DiskId> {
        self.device.disk()
    }

    /// Bytes of it.
    #[inline]
    pub(crate) fn media_size(&self) -> u64 {
        match &self.window {
            None => self.device.media_size(),
            Some(window) => window.size.load(Ordering::Acquire),
        }
    }

    /// Bytes of a sector.
    pub(crate) fn sector_size(&self) -> u32 {
        self.device.sector_size()
    }

    /// What the disk can do now.
    pub(crate) fn limits(&self) -> Option<DiskLimits> {
        self.device.limits()
    }

    /// The first byte of it on its disk.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// What the media likes requests to be aligned to, in bytes; 0 if nothing is known.
    pub(crate) fn stripe_size(&self) -> u64 {
        self.stripe_size
    }

    /// Why it was lost; `None` while it lives.
    pub(crate) fn error(&self) -> Option<Errno> {
        let lost = self.window.as_ref().and_then(|window| {
            window.latest.with(|opening| match opening {
                Opening::Lost(why) => Some(*why),
                _ => None,
            })
        });
        lost.or_else(|| self.device.error())
    }

    /// Waits until it is lost, or has another size or other limits. Always ends at once for one
    /// that is lost.
    pub(crate) async fn changed(&self) {
        let Some(window) = &self.window else {
            return self.device.changed().await;
        };
        if self.error().is_none() {
            let (device, told) = (pin!(self.device.changed()), pin!(window.latest.told()));
            select(device, told).await;
        }
    }

    /// As [`Device::submit`]; all requests end in the same `completions`.
    #[inline]
    pub(crate) fn submit(&self, mut order: Order, tag: u64, completions: &Rc<Completions>) {
        if let Some(window) = &self.window {
            window.place(&mut order, self.start);
            if window.completions.borrow().is_none() {
                window.completions.replace(Some(completions.clone()));
            }
        }
        self.device.submit(order, tag, completions);
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        if let Some(window) = &self.window {
            window.left.notify();
        }
    }
}

impl Window {
    /// Moves an order to where the provider is on its disk, from `start` on. The disk would not
    /// refuse what is beyond the provider's own end, so that is done here: it is moved to where
    /// nothing is.
    fn place(&self, order: &mut Order, start: u64) {
        let end = order.offset.checked_add(order.length);
        let inside = end.is_some_and(|end| end <= self.size.load(Ordering::Acquire));
        // A part of a disk ends where the disk does at most.
        let offset = order.offset.wrapping_add(start);
        order.offset = if inside { offset } else { BEYOND };
    }
}
