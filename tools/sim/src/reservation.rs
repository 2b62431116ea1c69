//! How much memory a domain has: giving some to Xen, and getting it back.

use hv::{DomId, Errno, PAGE_SIZE};

use crate::Xen;
use crate::fault::Call;
use crate::frame::Memory;

/// Pages that one call gives or gets at most.
const BATCH: usize = 128;

impl Xen {
    /// `XENMEM_decrease_reservation`: takes pages, the first ones first. A page that a peer may
    /// still use, or that still holds something, is a violation.
    pub(crate) fn give_pages(&self, dom: DomId, pages: &mut Vec<Memory>) -> Result<usize, Errno> {
        let count = pages.len().min(BATCH);
        let mut done = 0;
        while done < count {
            match self.fault(dom, Call::GivePages) {
                Some(error) if done == 0 => return Err(error),
                Some(_) => break,
                None => done += 1,
            }
        }
        for page in pages.drain(..done) {
            let mut bytes = [0; PAGE_SIZE];
            page.frame().peek(0, &mut bytes);
            if bytes.iter().any(|byte| *byte != 0) {
                let mfn = page.frame().mfn();
                self.violation(format!("domain {dom} gave page {mfn} away with its data"));
            }
            // It is freed, which is a violation if a peer has it (law L15), and gone.
            drop(page);
            self.with(dom, |domain| domain.pages -= 1);
        }
        Ok(done)
    }

    /// `XENMEM_populate_physmap`: as many pages as the domain may have now.
    pub(crate) fn get_pages(&self, dom: DomId, count: usize, most: usize) -> Result<usize, Errno> {
        let (has, limit) = self.with(dom, |domain| (domain.pages, domain.limit));
        if has >= most {
            return Err(Errno::ENOMEM);
        }
        let count = count.min(BATCH).min(most - has);
        let mut done = 0;
        while done < count.min(limit.saturating_sub(has)) {
            match self.fault(dom, Call::GetPages) {
                Some(error) if done == 0 => return Err(error),
                Some(_) => break,
                None => done += 1,
            }
        }
        self.with(dom, |domain| domain.pages += done);
        Ok(done)
    }
}
