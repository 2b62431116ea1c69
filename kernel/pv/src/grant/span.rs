//! Pages in a row that a peer may read.

use alloc::vec::Vec;
use core::cell::Cell;

use hv::{Access, DomId, GrantRef, Hypervisor, Span};

use super::{GrantRefusal, Grants};

/// Pages in a row that a peer may map, for reading only; so they can be written as plain bytes.
///
/// Dropping it ends the grants; those pages that the peer still maps are parked.
pub struct GrantedSpan<H: Hypervisor> {
    grants: Grants<H>,
    life: u32,
    peer: DomId,
    references: Vec<u32>,
    /// Taken only by drop.
    span: Option<H::Span>,
    parked_by_owner: Cell<bool>,
}

impl<H: Hypervisor> Grants<H> {
    /// Lets `peer` read the pages of `span`, each by a reference of its own.
    ///
    /// # Errors
    /// Why one was not granted; then none is, and the pages are freed.
    pub fn grant_span(&self, span: H::Span, peer: DomId) -> Result<GrantedSpan<H>, GrantRefusal> {
        let pages = span.pages();
        let mut granted = GrantedSpan {
            grants: self.clone(),
            life: self.inner.life.get(),
            peer,
            references: Vec::with_capacity(pages),
            span: Some(span),
            parked_by_owner: Cell::new(false),
        };
        for index in 0..pages {
            let frame = granted.whole().mfn(index);
            let reference = self.enter(frame, peer, Access::ReadOnly)?;
            granted.references.push(reference);
        }
        Ok(granted)
    }
}

impl<H: Hypervisor> GrantedSpan<H> {
    /// How many pages.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.references.len()
    }

    /// What the peer maps the pages by, in their order.
    pub fn references(&self) -> impl Iterator<Item = GrantRef> {
        self.references.iter().copied().map(GrantRef)
    }

    /// Lends all bytes. A peer that maps the pages may see them change meanwhile.
    pub fn write<R>(&mut self, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.whole().write(fill)
    }

    fn whole(&mut self) -> &mut H::Span {
        match &mut self.span {
            Some(span) => span,
            None => unreachable!("the span is taken only when it is dropped"),
        }
    }

    /// Parks the pages while their grants go on, as [`Granted::park`](super::Granted::park) does
    /// one.
    pub fn park(&self) {
        if !self.parked_by_owner.replace(true) {
            for _ in &self.references {
                self.grants.park(self.life, self.peer);
            }
        }
    }
}

impl<H: Hypervisor> Drop for GrantedSpan<H> {
    fn drop(&mut self) {
        let by_owner = self.parked_by_owner.get();
        let pages = self.span.take().into_iter().flat_map(Span::into_pages);
        // Where not all were granted, the others are freed.
        for (page, reference) in pages.zip(&self.references) {
            let grants = &self.grants;
            drop(grants.end(self.life, *reference, self.peer, page, by_owner));
        }
    }
}
