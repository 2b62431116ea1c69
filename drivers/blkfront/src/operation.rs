//! Which operation of the protocol a bio becomes, and what becomes of it when the backend turns out
//! not to know that operation.

use geom::Errno;
use geom::disk::{Command, DiskBio};
use xen_abi::io::blkif::{
    MAX_SEGMENTS_PER_REQUEST, OP_DISCARD, OP_FLUSH_DISKCACHE, OP_READ, OP_WRITE, OP_WRITE_BARRIER,
};

use crate::discard::Discard;
use crate::feature::Features;

/// What came of an operation that the backend does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It was not offered: only the request fails.
    Nothing,
    /// The disk can do less than before.
    Feature,
    /// The disk can do less than before, but the same can be asked for in another way.
    OneWay,
}

impl Features {
    /// What the backend is to be asked to do for `bio`, which is cut to where it may be done.
    ///
    /// # Errors
    /// What comes of it without asking.
    pub(crate) fn operation(&self, bio: &mut DiskBio) -> Result<u8, Result<(), Errno>> {
        match (bio.command, self.discard) {
            (Command::Read, _) => Ok(OP_READ),
            (Command::Write, _) => Ok(OP_WRITE),
            (Command::Flush, _) if self.flush => Ok(OP_FLUSH_DISKCACHE),
            (Command::Flush, _) if self.barrier => Ok(OP_WRITE_BARRIER),
            (Command::Delete, Some(discard)) => {
                let ahead = discard.gap(bio.offset);
                if ahead >= bio.length {
                    // No extent begins in it, and it was only a hint.
                    return Err(Ok(()));
                }
                bio.offset += ahead;
                bio.length -= ahead;
                Ok(OP_DISCARD)
            }
            (Command::Erase, Some(discard)) if discard.secure => {
                if discard.gap(bio.offset) == 0 {
                    Ok(OP_DISCARD)
                } else {
                    Err(Err(Errno::Invalid))
                }
            }
            _ => Err(Err(Errno::NotSupported)),
        }
    }

    /// The backend does not know the operation `asked` for `command` after all (EOPNOTSUPP), or not
    /// in an indirect request: it is not asked again.
    pub(crate) fn withdraw(
        &mut self,
        asked: u8,
        was_indirect: bool,
        command: Command,
    ) -> Withdrawn {
        match asked {
            OP_FLUSH_DISKCACHE => {
                self.flush = false;
                if self.barrier {
                    return Withdrawn::OneWay;
                }
            }
            OP_WRITE_BARRIER => self.barrier = false,
            OP_DISCARD => {
                self.discard = match (command, self.discard) {
                    (Command::Erase, Some(discard)) => Some(Discard {
                        secure: false,
                        ..discard
                    }),
                    _ => None,
                };
            }
            _ if was_indirect => {
                self.segments = MAX_SEGMENTS_PER_REQUEST;
                return Withdrawn::OneWay;
            }
            _ => return Withdrawn::Nothing,
        }
        Withdrawn::Feature
    }
}
