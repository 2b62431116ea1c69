//! Grant tables, on the bytes of their entries (version 1, grant_table.h).
//!
//! A use of an entry is a pin: while there is one, the entry's `reading` (and `writing`) bits
//! are set, as Xen sets them.

use std::rc::Rc;

use hv::{Access, CopyEnd, CopyGrant, DomId, GrantRef, GrantStatus, Mfn, PAGE_SIZE};

use crate::fault::Call;
use crate::frame::{Frame, Hold, Memory};
use crate::layout::grant;
use crate::{Ended, Xen};

/// What Xen keeps of an entry in use.
pub(crate) struct Active {
    frame: Rc<Frame>,
    user: DomId,
    readers: u32,
    writers: u32,
}

/// One use of one entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    owner: DomId,
    entry: GrantRef,
    user: DomId,
    access: Access,
}

impl Xen {
    /// Where an entry lies, if the table is that long.
    fn entry(&self, owner: DomId, entry: GrantRef) -> Option<(Rc<Frame>, usize)> {
        self.with(owner, |domain| {
            let page = domain
                .grant_table
                .get((entry.0 / grant::PER_PAGE) as usize)?;
            let slot = (entry.0 % grant::PER_PAGE) as usize;
            Some((page.clone(), slot * grant::ENTRY))
        })
    }

    /// Starts to use an entry: checks it as Xen does and sets its status bits.
    fn pin(
        &self,
        owner: DomId,
        entry: GrantRef,
        user: DomId,
        access: Access,
    ) -> Result<(Pin, Rc<Frame>), GrantStatus> {
        if !self.exists(owner) {
            return Err(GrantStatus(grant::BAD_DOMAIN));
        }
        let (page, at) = self
            .entry(owner, entry)
            .ok_or(GrantStatus(grant::BAD_GNTREF))?;
        let flags = page.u16(at + grant::FLAGS);
        let general = Err(GrantStatus(grant::GENERAL_ERROR));
        if flags & grant::TYPE_MASK != grant::PERMIT_ACCESS
            || page.u16(at + grant::DOMID) != user.0
            || (access == Access::ReadWrite && flags & grant::READONLY != 0)
        {
            return general;
        }
        let pinned = self.with(owner, |domain| {
            domain
                .active
                .get(&entry.0)
                .map(|active| (active.user, active.frame.clone()))
        });
        let frame = match pinned {
            Some((other, _)) if other != user => return general,
            Some((_, frame)) => frame,
            None => self
                .find_frame(Mfn(page.u32(at + grant::FRAME).into()), owner)
                .ok_or(GrantStatus(grant::BAD_PAGE))?,
        };
        let write = access == Access::ReadWrite;
        let status = grant::READING | if write { grant::WRITING } else { 0 };
        page.set_u16(at + grant::FLAGS, flags | status);
        self.with(owner, |domain| {
            let active = domain.active.entry(entry.0).or_insert_with(|| Active {
                frame: frame.clone(),
                user,
                readers: 0,
                writers: 0,
            });
            active.readers += 1;
            active.writers += u32::from(write);
        });
        frame.foreign_mappings.set(frame.foreign_mappings.get() + 1);
        let pin = Pin {
            owner,
            entry,
            user,
            access,
        };
        Ok((pin, frame))
    }

    /// Ends one use of an entry; the last one clears the status bits.
    pub(crate) fn unpin(&self, pin: &Pin) {
        let (readers, writers, frame) = self.with(pin.owner, |domain| {
            let active = domain
                .active
                .get_mut(&pin.entry.0)
                .expect("a pinned entry is active");
            active.readers -= 1;
            active.writers -= u32::from(pin.access == Access::ReadWrite);
            let left = (active.readers, active.writers, active.frame.clone());
            if active.readers == 0 {
                domain.active.remove(&pin.entry.0);
            }
            left
        });
        frame.foreign_mappings.set(frame.foreign_mappings.get() - 1);
        let (page, at) = self.entry(pin.owner, pin.entry).expect("tables only grow");
        let mut flags = page.u16(at + grant::FLAGS);
        if readers == 0 {
            flags &= !grant::READING;
        }
        if writers == 0 {
            flags &= !grant::WRITING;
        }
        page.set_u16(at + grant::FLAGS, flags);
        let user = pin.user;
        if self.knows(user) {
            self.with(user, |domain| domain.mappings -= 1);
        }
    }

    /// `GNTTABOP_map_grant_ref` for one page; dropping the result unmaps it.
    ///
    /// # Errors
    /// Xen's verdict.
    pub fn grant_map_one(
        &self,
        user: DomId,
        owner: DomId,
        entry: GrantRef,
        access: Access,
    ) -> Result<Memory, GrantStatus> {
        if self.fault(user, Call::GrantMap).is_some() {
            return Err(GrantStatus(grant::GENERAL_ERROR));
        }
        let (pin, frame) = self.pin(owner, entry, user, access)?;
        self.with(user, |domain| domain.mappings += 1);
        let hold = Hold::Granted {
            xen: self.clone(),
            pin,
            writable: access == Access::ReadWrite,
        };
        Ok(Memory::new(frame, user, hold))
    }

    /// `GNTTABOP_copy` for one piece.
    ///
    /// # Errors
    /// Xen's verdict.
    pub fn grant_copy_one(&self, user: DomId, copy: &CopyGrant) -> Result<(), GrantStatus> {
        if self.fault(user, Call::GrantCopy).is_some() {
            return Err(GrantStatus(grant::GENERAL_ERROR));
        }
        let length = usize::from(copy.length);
        let (from, to) = (
            usize::from(copy.source_offset),
            usize::from(copy.destination_offset),
        );
        if from + length > PAGE_SIZE || to + length > PAGE_SIZE {
            return Err(GrantStatus(grant::BAD_COPY_ARG));
        }
        let (_source_hold, source) = self.copy_end(user, copy.source, Access::ReadOnly)?;
        let (_destination_hold, destination) =
            self.copy_end(user, copy.destination, Access::ReadWrite)?;
        let mut bytes = vec![0; length];
        source.peek(from, &mut bytes);
        source.snooped(user, from, length);
        destination.poke(to, &bytes);
        Ok(())
    }

    fn copy_end(
        &self,
        user: DomId,
        end: CopyEnd,
        access: Access,
    ) -> Result<(Option<Memory>, Rc<Frame>), GrantStatus> {
        match end {
            CopyEnd::Local(mfn) => {
                let frame = self
                    .find_frame(mfn, user)
                    .ok_or(GrantStatus(grant::BAD_PAGE))?;
                Ok((None, frame))
            }
            CopyEnd::Foreign(owner, entry) => {
                let (pin, frame) = self.pin(owner, entry, user, access)?;
                self.with(user, |domain| domain.mappings += 1);
                let hold = Hold::Granted {
                    xen: self.clone(),
                    pin,
                    writable: access == Access::ReadWrite,
                };
                let memory = Memory::new(frame.clone(), user, hold);
                Ok((Some(memory), frame))
            }
        }
    }

    /// Takes a page back from a domain; a page that a peer may still use is a violation (law L15).
    pub(crate) fn free_page(&self, dom: DomId, frame: &Rc<Frame>) {
        self.forget_frame(frame.mfn());
        if !self.knows(dom) {
            return;
        }
        let (destroyed, granted) = self.with(dom, |domain| {
            domain.pages_used -= 1;
            let mfn = frame.mfn().0;
            let granted = domain
                .grant_entries()
                .into_iter()
                .find(|(_, flags, page)| {
                    flags & grant::TYPE_MASK == grant::PERMIT_ACCESS && u64::from(*page) == mfn
                })
                .map(|(entry, _, _)| entry);
            (domain.ended == Some(Ended::Destroyed), granted)
        });
        if destroyed || std::thread::panicking() {
            return;
        }
        let mfn = frame.mfn();
        if frame.foreign_mappings.get() > 0 {
            self.violation(format!(
                "L15: domain {dom} freed page {mfn} while a peer has it mapped"
            ));
        } else if let Some(entry) = granted {
            self.violation(format!(
                "L15: domain {dom} freed page {mfn} while grant {entry} still names it"
            ));
        }
    }
}
