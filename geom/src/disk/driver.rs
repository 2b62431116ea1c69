//! What a driver implements.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::bio::{DiskBio, Piece};
use crate::errno::Errno;

/// A driver's side of one disk. See the [module](crate::disk) for when each is called.
pub trait Disk {
    /// The first open. A driver that needs no preparation returns `Ok`.
    ///
    /// # Errors
    /// Whatever the opener shall see; there is no close then.
    fn open(&mut self) -> Result<(), Errno> {
        Ok(())
    }

    /// The last close. No request is outstanding. It cannot fail.
    fn close(&mut self) {}

    /// Takes a request. It must not wait; completing it at once is fine.
    fn strategy(&mut self, bio: DiskBio);

    /// Carries out what [`strategy`](Self::strategy) would get now, if the driver can do so without
    /// waiting for anything: memory, not a device. `None` if it cannot; `strategy` gets it then. It
    /// saves the keeping of a request that is over before anybody could ask for it.
    ///
    /// Only a plain request comes here: one that is ordered (every flush of a device), that is cut
    /// into pieces, that has to wait or that belongs to a taste goes to `strategy`, so a driver has
    /// both. The graph is locked: nothing here may call a method of a handle.
    fn at_once(&mut self, request: &Piece) -> Option<Result<(), Errno>> {
        let _ = request;
        None
    }

    /// An attribute by name. `None` means that the driver does not know it, and GEOM answers from
    /// [`DiskParams`](crate::disk::DiskParams) where it can.
    fn getattr(&mut self, name: &str) -> Option<Result<Attribute, Errno>> {
        let _ = name;
        None
    }

    /// The time has come that this returned last, or the driver asked to be called. Returns when
    /// it wants to be called next, if at all: times since boot, as
    /// [`Geom::poll`](crate::Geom::poll) is given them. It is called from there only, never early.
    fn timer(&mut self, now: Duration) -> Option<Duration> {
        let _ = now;
        None
    }

    /// Nobody can reach the disk any more. The driver object leaves GEOM with this call, so nothing
    /// can enter it again. It may call any method of a handle; it must not wait.
    fn gone(self: Box<Self>);
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Such as `GEOM::ident`.
    Text(String),
    /// Such as `GEOM::fwsectors`.
    Number(u64),
    /// Such as `GEOM::candelete`.
    Flag(bool),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
        }
    }
}
