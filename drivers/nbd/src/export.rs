//! What is served under which name, and opening it for a client.

use alloc::format;
use alloc::rc::{Rc, Weak};
use alloc::string::String;
use core::cell::RefCell;
use core::net::IpAddr;

use geom::{Access, Device, Errno, Geom, OpenError};

use crate::open::Open;
use crate::places::{Place, Places};
use crate::wire::transmission_flag as flag;

/// Clients of one export, those included that have left and whose requests have not ended.
/// One peer gets half: as many connections as clients usually make.
const CLIENTS: usize = 8;

/// A provider that clients may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// What clients call it; at most 4,096 bytes. A client that names nothing has the first of all
    /// exports.
    pub name: String,
    /// GEOM's name for it. It need not be there before a client asks for it.
    pub provider: String,
    /// Nobody may write to it. Otherwise all its clients may, and keep everybody else from writing;
    /// what each of them may write where is theirs to agree on.
    pub read_only: bool,
}

/// An export and its clients.
pub(crate) struct Served {
    pub(crate) export: Export,
    places: Places,
    /// What its clients have open, if it has any.
    open: RefCell<Weak<Open>>,
}

impl Served {
    pub(crate) fn new(export: Export) -> Self {
        Self {
            export,
            places: Places::new(CLIENTS),
            open: RefCell::default(),
        }
    }

    /// Opens it for a client of `peer`.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn open(&self, geom: &Geom, peer: IpAddr) -> Result<Opened, Refusal> {
        let place = self.places.take(peer).ok_or(Refusal::Crowded)?;
        let open = match self.current() {
            Some(open) => open,
            None => self.open_first(geom).map_err(Refusal::Open)?,
        };
        let terms = self.terms(&open.device, open.writable);
        Ok(Opened {
            open,
            terms,
            _place: place,
        })
    }

    /// What other clients have open. Those of a lost provider have nothing to share: there may be
    /// another by its name.
    fn current(&self) -> Option<Rc<Open>> {
        let open = self.open.borrow().upgrade();
        open.filter(|open| !open.is_lost())
    }

    fn open_first(&self, geom: &Geom) -> Result<Rc<Open>, OpenError> {
        let open_for = |access: Access| {
            let device = self.open_device(geom, access)?;
            Ok(Rc::new(Open::new(device, access.write)))
        };
        let open = match self.export.read_only {
            true => open_for(Access::READ),
            // A disk that cannot be written can be read.
            false => open_for(Access::EXCLUSIVE).or_else(|error: OpenError| match error.errno {
                Errno::ReadOnly => open_for(Access::READ),
                _ => Err(error),
            }),
        }?;
        self.open.replace(Rc::downgrade(&open));
        Ok(open)
    }

    fn open_device(&self, geom: &Geom, access: Access) -> Result<Device, OpenError> {
        let holder = format!("nbd {}", self.export.name);
        geom.open_as(&self.export.provider, access, &holder)
    }

    /// What a client would be offered now, without taking it from anybody.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn look(&self, geom: &Geom) -> Result<Terms, Refusal> {
        if let Some(open) = self.current() {
            return Ok(self.terms(&open.device, open.writable));
        }
        let device = self.open_device(geom, Access::READ);
        let device = device.map_err(Refusal::Open)?;
        Ok(self.terms(&device, !self.export.read_only))
    }

    fn terms(&self, device: &Device, writable: bool) -> Terms {
        let read_only = !writable || device.is_read_only();
        let limits = device.limits();
        Terms {
            size: device.media_size(),
            sector: device.sector_size().max(1),
            read_only,
            flush: !read_only && limits.is_some_and(|limits| limits.can_flush),
            trim: !read_only && limits.is_some_and(|limits| limits.can_delete),
        }
    }
}

/// An open export, on the terms of one client, and its place there.
pub(crate) struct Opened {
    pub(crate) open: Rc<Open>,
    pub(crate) terms: Terms,
    _place: Place,
}

/// Why a client cannot have an export.
pub(crate) enum Refusal {
    Open(OpenError),
    Crowded,
}

/// What an export can do for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Bytes.
    pub(crate) size: u64,
    /// Offsets and lengths are multiples of it, in bytes: a power of two from 512 to 65536.
    pub(crate) sector: u32,
    pub(crate) read_only: bool,
    pub(crate) flush: bool,
    pub(crate) trim: bool,
}

impl Terms {
    /// The transmission flags.
    pub(crate) fn flags(&self, structured: bool) -> u16 {
        let when = |condition, flags| if condition { flags } else { 0 };
        flag::HAS_FLAGS
            | when(self.read_only, flag::READ_ONLY)
            // What one connection has flushed is on stable media for all of them.
            | when(self.read_only || self.flush, flag::CAN_MULTI_CONN)
            | when(!self.read_only, flag::SEND_WRITE_ZEROES)
            | when(self.flush, flag::SEND_FLUSH | flag::SEND_FUA)
            | when(self.trim, flag::SEND_TRIM)
            | when(structured, flag::SEND_DF)
    }
}
