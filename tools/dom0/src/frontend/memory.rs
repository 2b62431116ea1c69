//! Obeys the orders about pages.

use super::device::Frontend;
use super::order::memory::{Memory, Target};
use anyhow::{Context, Result};
use hv::SharedMem;
use sha2::{Digest, Sha256};
use std::fmt::Write;

impl Frontend {
    pub(super) fn remember(&mut self, order: Memory) -> Result<String> {
        let pages = &mut self.pages;
        match order {
            Memory::Grant {
                count,
                read_only,
                domain,
            } => {
                let domain = domain.unwrap_or(self.backend);
                let range = pages.grant(&self.gntalloc, domain, count, !read_only)?;
                return Ok(format!("p{}..{}", range.start, range.end));
            }
            Memory::Fill {
                parts,
                seed,
                sector,
            } => pages.fill(&parts, seed, sector)?,
            Memory::Check {
                parts,
                seed,
                sector,
            } => pages.check(&parts, seed, sector)?,
            Memory::Byte { parts, value } => pages.set(&parts, value)?,
            Memory::Sum(parts) => {
                let mut text = String::new();
                for byte in Sha256::digest(pages.read(&parts)?) {
                    write!(text, "{byte:02x}")?;
                }
                return Ok(text);
            }
            Memory::Poke {
                place: Target::Pages(range),
                offset,
                bytes,
            } => range
                .into_iter()
                .try_for_each(|page| poke(pages.memory(page)?, offset, &bytes))?,
            Memory::Poke {
                place: Target::Ring(queue),
                offset,
                bytes,
            } => poke(self.queue(queue)?.memory()?, offset, &bytes)?,
            Memory::Revoke(Target::Pages(range)) => pages.revoke(range)?,
            Memory::Revoke(Target::Ring(queue)) => self.queue(queue)?.revoke(),
        }
        Ok(String::new())
    }
}

fn poke(memory: &impl SharedMem, offset: usize, bytes: &[u8]) -> Result<()> {
    let end = offset.checked_add(bytes.len());
    let fits = end.filter(|end| *end <= memory.len());
    fits.context("that is beyond the end")?;
    memory.write(offset, bytes);
    Ok(())
}
