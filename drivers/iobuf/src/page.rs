//! One page of this domain's as memory.

use core::any::Any;

use geom::Memory;
use hv::{Hypervisor, PAGE_SIZE, SharedMem};
use pv::Granted;

/// A page that nobody else sees, unless Xen copies to or from it.
pub struct IoPage<H: Hypervisor>(H::Page);

impl<H: Hypervisor> IoPage<H> {
    /// This page.
    #[must_use]
    pub fn new(page: H::Page) -> Self {
        Self(page)
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> &H::Page {
        &self.0
    }
}

/// A page that is granted to a peer, for as long as this lives.
pub struct GrantedPage<H: Hypervisor>(Granted<H>);

impl<H: Hypervisor> GrantedPage<H> {
    /// This page.
    #[must_use]
    pub fn new(granted: Granted<H>) -> Self {
        Self(granted)
    }

    /// The grant.
    #[must_use]
    pub fn granted(&self) -> &Granted<H> {
        &self.0
    }
}

/// The page of a memory that is one of this domain's.
#[inline]
pub(crate) fn own<H: Hypervisor>(memory: &dyn Memory) -> Option<&H::Page> {
    let memory = memory.as_any();
    if let Some(page) = memory.downcast_ref::<IoPage<H>>() {
        return Some(&page.0);
    }
    let page = memory.downcast_ref::<GrantedPage<H>>()?;
    Some(page.0.page())
}

impl<H: Hypervisor> Memory for IoPage<H> {
    fn len(&self) -> usize {
        PAGE_SIZE
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.0.write(at, from);
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        self.0.read(at, to);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<H: Hypervisor> Memory for GrantedPage<H> {
    fn len(&self) -> usize {
        PAGE_SIZE
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.0.write(at, from);
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        self.0.read(at, to);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
