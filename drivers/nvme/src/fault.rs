//! Why a controller cannot go on.

use core::fmt;
use core::time::Duration;

use geom::disk::DiskError;

use crate::capabilities::Unfit;
use crate::completion::Status;
use crate::identify::list::Disorder;

/// What a controller did that none may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misbehaviour {
    /// It completed a command that is not outstanding.
    UnknownId { queue: u16, id: u16 },
    /// A completion of queue `queue` names another one.
    WrongQueue { queue: u16, named: u16 },
    /// It has read what was not written.
    Head { queue: u16, head: u16 },
    /// It lists namespaces that cannot be.
    Namespaces(Disorder),
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownId { queue, id } => write!(
                f,
                "it completed command {id:#06x} of queue {queue}, which is not outstanding"
            ),
            Self::WrongQueue { queue, named } => {
                write!(f, "a completion of queue {queue} names queue {named}")
            }
            Self::Head { queue, head } => write!(
                f,
                "it says that it has read queue {queue} up to {head}, where nothing was written"
            ),
            Self::Namespaces(Disorder(id)) => {
                write!(f, "its list of namespaces has {id} where it cannot be")
            }
        }
    }
}

/// Why a controller cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not there any more.
    Removed,
    /// It is none that can be driven.
    Unfit(Unfit),
    /// It says that it cannot go on.
    Fatal,
    /// It did not come to a state in this time.
    NotReady(&'static str, Duration),
    /// It did what none may do.
    Misbehaviour(Misbehaviour),
    /// It did not complete an admin command in time.
    Silent(&'static str),
    /// It neither completed a request in time nor let go of it.
    Stuck,
    /// It refused an admin command that is needed.
    Refused(&'static str, Status),
    /// There is no memory for what it needs.
    Memory,
    /// GEOM refused a disk.
    Disk(DiskError),
    /// The bus said no.
    Bus(&'static str),
}

impl Fault {
    /// Whether a reset may help.
    pub(crate) fn asks_for_reset(&self) -> bool {
        matches!(
            self,
            Self::Fatal | Self::NotReady(..) | Self::Silent(_) | Self::Stuck
        )
    }
}

impl From<Misbehaviour> for Fault {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Misbehaviour(misbehaviour)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("it was removed"),
            Self::Unfit(why) => why.fmt(f),
            Self::Fatal => f.write_str("it reports a fatal error of its own"),
            Self::NotReady(what, limit) => write!(f, "{what} took longer than {limit:?}"),
            Self::Misbehaviour(what) => what.fmt(f),
            Self::Silent(what) => write!(f, "no answer to {what}"),
            Self::Stuck => f.write_str("it keeps a request that it was told to abort"),
            Self::Refused(what, status) => write!(f, "{what} refused: {status}"),
            Self::Memory => f.write_str("out of memory"),
            Self::Disk(error) => error.fmt(f),
            Self::Bus(what) => f.write_str(what),
        }
    }
}
