//! Pages that classes keep data in, from whoever runs GEOM.

use alloc::rc::Rc;

use crate::memory::Memory;
use crate::mesh::Geom;

/// Where memory disks get their pages.
///
/// The embedder decides what a page is, so that serving a memory disk to another domain moves its
/// pages without a copy in this one. GEOM is locked while it asks: no method may call into it.
pub trait PageSource {
    /// A page that nobody else has, filled with zeros. It goes back when the last reference is
    /// dropped. `None` if there is none now.
    fn page(&self) -> Option<Rc<dyn Memory>>;

    /// Bytes of a page: a power of two, at least 512.
    fn page_size(&self) -> usize;

    /// Bytes of pages that may still be taken: the embedder leaves out what it keeps for itself.
    fn free_bytes(&self) -> u64;

    /// Has every copy to or from one of these pages made that a memory has put off
    /// ([`Memory`]): a class asks for it before it changes the bytes of a page itself.
    fn settle(&self) {}
}

/// The source, and the one page of zeros that everything unwritten reads from.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) source: Rc<dyn PageSource>,
    pub(crate) zero: Rc<dyn Memory>,
}

impl Geom {
    /// Says where classes that keep data get their pages; before that there are none. `false` if
    /// the source has not even one page.
    pub fn set_page_source(&self, source: Rc<dyn PageSource>) -> bool {
        let pages = source.page().map(|zero| Pages { source, zero });
        let found = pages.is_some();
        self.mesh().pages.replace(pages);
        found
    }
}
