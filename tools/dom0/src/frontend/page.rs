//! Pages for data, each granted by itself, so that one can be taken back alone.

use super::order::word::{Part, Reference};
use super::pattern::{self, SECTOR};
use crate::xen::gntalloc::{Gntalloc, Granted};
use anyhow::{Context, Result, bail};
use hv::SharedMem;
use std::ops::Range;
use xen_abi::io::blkif::LAST_SECTOR_IN_PAGE;

/// A page; its reference is remembered when the grant is not there any more.
struct Page {
    reference: u32,
    granted: Option<Granted>,
}

/// All of them, by number.
#[derive(Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
}

impl Pages {
    /// Grants `domain` `count` more; returns their numbers.
    pub(super) fn grant(
        &mut self,
        gntalloc: &Gntalloc,
        domain: u32,
        count: u32,
        writable: bool,
    ) -> Result<Range<usize>> {
        let first = self.pages.len();
        for _ in 0..count {
            let granted = gntalloc.grant(domain, 1, writable);
            let granted = granted.context("gntalloc gives no page")?;
            self.pages.push(Page {
                reference: granted.references[0],
                granted: Some(granted),
            });
        }
        Ok(first..self.pages.len())
    }

    /// Ends the grant of these.
    pub(super) fn revoke(&mut self, range: Range<usize>) -> Result<()> {
        let pages = self.pages.get_mut(range.clone());
        let pages = pages.with_context(|| format!("not all of {range:?} are pages"))?;
        for page in pages {
            page.granted = None;
        }
        Ok(())
    }

    /// What the backend knows it by.
    pub(super) fn reference(&self, reference: Reference) -> Result<u32> {
        match reference {
            Reference::Grant(reference) => Ok(reference),
            Reference::Page(number) => {
                let page = self.pages.get(number);
                Ok(page
                    .with_context(|| format!("there is no p{number}"))?
                    .reference)
            }
        }
    }

    /// A page's memory.
    pub(super) fn memory(&self, number: usize) -> Result<&impl SharedMem> {
        let granted = self
            .pages
            .get(number)
            .and_then(|page| page.granted.as_ref());
        let granted = granted.with_context(|| format!("there is no p{number} any more"))?;
        Ok(&granted.memory)
    }

    /// Calls `each` for each sector of the parts, with the page it is in and where.
    fn each_sector(
        &self,
        parts: &[Part],
        mut each: impl FnMut(&dyn SharedMem, usize) -> Result<()>,
    ) -> Result<()> {
        for part in parts {
            let Reference::Page(number) = part.reference else {
                bail!("a reference has no memory here");
            };
            if part.last > LAST_SECTOR_IN_PAGE {
                bail!("a page has no sector {}", part.last);
            }
            let memory = self.memory(number)?;
            for sector in part.first..=part.last {
                each(memory, usize::from(sector) * SECTOR)?;
            }
        }
        Ok(())
    }

    /// Writes the pattern of the disk's sectors from `sector` on.
    pub(super) fn fill(&self, parts: &[Part], seed: u64, sector: u64) -> Result<()> {
        let mut sectors = sector..;
        self.each_sector(parts, |memory, at| {
            let number = sectors.next().unwrap_or_default();
            memory.write(at, &pattern::sector(seed, number));
            Ok(())
        })
    }

    /// Fails if something else than the pattern is there.
    pub(super) fn check(&self, parts: &[Part], seed: u64, sector: u64) -> Result<()> {
        let mut sectors = sector..;
        self.each_sector(parts, |memory, at| {
            let number = sectors.next().unwrap_or_default();
            let mut found = [0; SECTOR];
            memory.read(at, &mut found);
            same(&found, &pattern::sector(seed, number), number)
        })
    }

    /// Writes `value` everywhere.
    pub(super) fn set(&self, parts: &[Part], value: u8) -> Result<()> {
        self.each_sector(parts, |memory, at| {
            memory.fill(at, SECTOR, value);
            Ok(())
        })
    }

    /// The bytes that are there.
    pub(super) fn read(&self, parts: &[Part]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.each_sector(parts, |memory, at| {
            let mut found = [0; SECTOR];
            memory.read(at, &mut found);
            bytes.extend_from_slice(&found);
            Ok(())
        })?;
        Ok(bytes)
    }
}

/// Fails, and says where, if a sector has other bytes than it should.
pub(super) fn same(found: &[u8; SECTOR], expected: &[u8; SECTOR], number: u64) -> Result<()> {
    let differs = found
        .iter()
        .zip(expected)
        .position(|(is, should)| is != should);
    if let Some(at) = differs {
        bail!(
            "sector {number} differs at byte {at}: {}, not {}",
            found[at],
            expected[at]
        );
    }
    Ok(())
}
