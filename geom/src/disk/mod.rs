//! The disk interface: all that a driver of a block device sees of GEOM.
//!
//! # The life of a disk
//!
//! ```text
//!  disk_create            create event          gone() or destroy()      orphans told
//!  ──────────► Queued ──────────────► Live ─────────────────────► Failing ───────────► Draining
//!                │   gone() or destroy()                                                  │
//!                └────────────────────────────────────────────────────────────────────►   │
//!                                                    last completion, last close, detach  ▼
//!                           Freed ◄──────────── Gone ◄──────────────────────────────── Detached
//!                                  destroy()           Disk::gone called
//! ```
//!
//! * **Create.** Fill a [`DiskParams`] and hand it with a [`Disk`] to
//!   [`Geom::disk_create`](crate::Geom::disk_create). A wrong version or a number that makes no
//!   sense is an error the caller sees, and no gone follows. On success the provider
//!   appears in the next poll and is tasted by itself.
//! * **Entries.** GEOM enters the driver only through [`Disk`], only from
//!   [`Geom::poll`](crate::Geom::poll), [`Geom::open`](crate::Geom::open), the methods of a
//!   [`Device`](crate::Device) and its drop, and never twice at a time. It never enters it from a
//!   method of [`DiskHandle`] or [`DiskBio`]: a driver may hold its own locks while it calls those.
//!   The graph is not locked meanwhile, so a driver may call any [`DiskHandle`] or [`DiskBio`]
//!   method inside any entry but [`Disk::at_once`], which is for drivers of memory.
//! * **Open and close.** [`Disk::open`] at the first open of anybody, [`Disk::close`] at the last
//!   close. Every open that succeeded is followed by exactly one close, and all closes come before
//!   gone.
//! * **Requests.** [`Disk::strategy`] gets a [`DiskBio`], inside the media, aligned, and within
//!   what the [limits](DiskLimits) allow. The driver owns it until
//!   [`complete`](DiskBio::complete). There is no timeout on it, and no limit to how many may be
//!   out: queue what the device cannot take, and [`cut`](DiskBio::cut) what has become too long
//!   for it.
//! * **Leaving.** As soon as the driver knows that the device is lost or must go, it calls
//!   [`DiskHandle::gone`], in any state and as often as it likes, and then completes the requests
//!   it still has, in its own time. From that call on no open and no new request reaches the
//!   driver; what is queued fails with [`Errno::NoDevice`](crate::Errno::NoDevice); holders are
//!   told as soon as GEOM is polled. When the last request is back, the last holder has closed and
//!   everything is detached, [`Disk::gone`] takes the driver object out of GEOM: exactly once per
//!   disk that was created, whatever the order of events, also for one that was destroyed or
//!   dropped without `gone`, or lost before its create event ran. Nothing enters the driver
//!   afterwards.
//! * **Destroy.** [`DiskHandle::destroy`], or dropping the handle, is `gone` and in addition says
//!   that the driver needs the record no more: it is freed when gone has run.
//!
//! A driver that must free memory which requests use does so in [`Disk::gone`], never earlier.
//!
//! # Changes while it lives
//!
//! [`DiskHandle::resize`] for another size; [`DiskHandle::replace_media`] if the sector size
//! changes (the provider is replaced, holders of the old one get `ENXIO`);
//! [`DiskHandle::media_changed`] for other content of the same size; [`DiskHandle::set_limits`] for
//! a new largest request or a lost feature; [`DiskHandle::attr_changed`] when an attribute has
//! another value.

pub(crate) mod departure;
pub(crate) mod dispatch;
pub(crate) mod door;
mod driver;
mod ending;
mod gate;
pub(crate) mod handle;
mod params;
pub(crate) mod record;
pub(crate) mod standing;
mod state;
pub(crate) mod timer;

pub use crate::bio::{Command, DiskBio, Piece};
pub use driver::{Attribute, Disk};
pub use handle::DiskHandle;
pub use params::{DISK_VERSION, DiskError, DiskLimits, DiskParams, LARGEST_MEDIA};
pub use record::DiskInfo;
pub use state::DiskState;
