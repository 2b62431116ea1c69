//! What is served under which name, and opening it for a client.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::net::IpAddr;

use geom::{Access, Device, Errno, Geom, OpenError};

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
    /// Nobody may write to it. Otherwise one client at a time may have it, and keeps all others
    /// from writing.
    pub read_only: bool,
}

/// An export and its clients.
pub(crate) struct Served {
    pub(crate) export: Export,
    places: Places,
}

impl Served {
    pub(crate) fn new(export: Export) -> Self {
        Self {
            export,
            places: Places::new(CLIENTS),
        }
    }

    /// Opens it for a client of `peer`.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn open(&self, geom: &Geom, peer: IpAddr) -> Result<Opened, Refusal> {
        let place = self.places.take(peer).ok_or(Refusal::Crowded)?;
        let holder = format!("nbd {}", self.export.name);
        let provider = &self.export.provider;
        let device = if self.export.read_only {
            geom.open_as(provider, Access::READ, &holder)
        } else {
            let opened = geom.open_as(provider, Access::EXCLUSIVE, &holder);
            // A disk that cannot be written can be read.
            opened.or_else(|error| match error.errno {
                Errno::ReadOnly => geom.open_as(provider, Access::READ, &holder),
                _ => Err(error),
            })
        };
        let device = device.map_err(Refusal::Open)?;
        let terms = self.terms(&device);
        Ok(Opened {
            device: Rc::new(device),
            terms,
            place,
        })
    }

    /// What a client would be offered now, without taking it from anybody.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) fn look(&self, geom: &Geom) -> Result<Terms, Refusal> {
        let provider = &self.export.provider;
        let holder = format!("nbd {}", self.export.name);
        let device = geom
            .open_as(provider, Access::READ, &holder)
            .map_err(Refusal::Open)?;
        Ok(self.terms(&device))
    }

    fn terms(&self, device: &Device) -> Terms {
        let read_only = self.export.read_only || device.is_read_only();
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

/// An open export, and a client's place there.
pub(crate) struct Opened {
    pub(crate) device: Rc<Device>,
    pub(crate) terms: Terms,
    pub(crate) place: Place,
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
            | when(self.read_only, flag::READ_ONLY | flag::CAN_MULTI_CONN)
            | when(!self.read_only, flag::SEND_WRITE_ZEROES)
            | when(self.flush, flag::SEND_FLUSH | flag::SEND_FUA)
            | when(self.trim, flag::SEND_TRIM)
            | when(structured, flag::SEND_DF)
    }
}
