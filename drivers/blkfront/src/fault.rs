//! What only this driver can say of why a device cannot go on.

use core::fmt;

use frontend::Failure;
use geom::disk::DiskError;
use hv::Errno;

use crate::medium::BadMedium;
use crate::pool::NoPage;
use crate::queue::Misbehaviour;

/// What is wrong with a backend, or with this domain.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The backend's description of its disk cannot be true.
    Medium(BadMedium),
    /// The backend breaks the protocol.
    Misbehaviour(Misbehaviour),
    /// No page for the ring.
    Ring(NoPage),
    /// No page for data.
    Pool(NoPage),
    /// No event channel.
    Port(Errno),
    /// GEOM does not take the disk.
    Disk(DiskError),
    /// Backends still have more pages of former connections than this domain can spare.
    Parked(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Medium(error) => error.fmt(f),
            Self::Misbehaviour(what) => write!(f, "the backend breaks the protocol: {what}"),
            Self::Ring(error) => write!(f, "no page for the ring: {error}"),
            Self::Pool(error) => write!(f, "no page for data: {error}"),
            Self::Port(error) => write!(f, "no event channel: {error}"),
            Self::Disk(error) => write!(f, "GEOM: {error}"),
            Self::Parked(pages) => {
                write!(f, "backends still have {pages} pages of former connections")
            }
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::own(&fault)
    }
}
