//! What a controller can be asked for, and what GEOM is told of it; pure.

use geom::Errno;
use geom::disk::{Command, DiskBio, DiskLimits};
use hv::PAGE_SIZE;

use crate::command::{DATASET_MANAGEMENT, FLUSH, READ, WRITE, WRITE_ZEROES};
use crate::completion::Status;
use crate::identify::controller::ControllerFacts;
use crate::pointer::MOST_PAGES;

/// The most blocks of one command that names them with 16 bits, counted from 0.
const MOST_BLOCKS: u64 = 1 << 16;

/// The most bytes that one command deallocates. A controller may skip a longer range, and not say
/// so (DMRSL; QEMU's is near 2 GiB).
const MOST_DEALLOCATED: u64 = 1 << 30;
/// The most bytes that one command zeroes: as many such commands as the queue holds have to end
/// within the limit of each.
const MOST_ZEROED: u64 = 4 << 20;

/// What a controller can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The largest transfer, in bytes.
    most: u64,
    deallocates: bool,
    writes_zeroes: bool,
    caches_writes: bool,
    /// It takes scatter-gather lists.
    pub(crate) scatters: bool,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The controller is asked with this opcode.
    Ask(u8),
    /// There is nothing to do.
    Nothing,
}

impl Offer {
    pub(crate) fn of(facts: &ControllerFacts) -> Self {
        let most = (MOST_PAGES * PAGE_SIZE) as u64;
        Self {
            most: facts.largest.unwrap_or(most).min(most),
            deallocates: facts.deallocates,
            writes_zeroes: facts.writes_zeroes,
            caches_writes: facts.caches_writes,
            scatters: facts.scatters,
        }
    }

    /// How `bio` is asked for.
    pub(crate) fn operation(&self, bio: &DiskBio) -> Result<Operation, Errno> {
        let opcode = match bio.command {
            Command::Read => READ,
            Command::Write => WRITE,
            Command::Flush if self.caches_writes => FLUSH,
            Command::Flush => return Ok(Operation::Nothing),
            Command::Delete if self.deallocates => DATASET_MANAGEMENT,
            Command::Erase if self.writes_zeroes => WRITE_ZEROES,
            Command::Delete | Command::Erase => return Err(Errno::NotSupported),
        };
        Ok(Operation::Ask(opcode))
    }

    /// The most bytes of one such command, with blocks of two to the power of `shift` bytes.
    pub(crate) fn longest(&self, opcode: u8, shift: u32) -> u64 {
        match opcode {
            DATASET_MANAGEMENT => MOST_DEALLOCATED,
            WRITE_ZEROES => MOST_ZEROED.min(MOST_BLOCKS << shift),
            _ => self.most,
        }
    }

    /// What GEOM is told.
    pub(crate) fn limits(&self) -> DiskLimits {
        DiskLimits {
            max_io: self.most,
            // A longer one is cut here.
            max_delete: u64::MAX,
            can_delete: self.deallocates,
            can_flush: true,
            can_erase: self.writes_zeroes,
            delete_granularity: 0,
        }
    }
}

/// What whoever asked is told of a failure.
pub(crate) fn errno(status: Status) -> Errno {
    match status.code() {
        Status::INVALID_OPCODE => Errno::NotSupported,
        Status::INVALID_NAMESPACE => Errno::NoDevice,
        Status::WRITE_PROTECTED => Errno::ReadOnly,
        Status::CAPACITY_EXCEEDED => Errno::NoSpace,
        _ => Errno::Io,
    }
}
