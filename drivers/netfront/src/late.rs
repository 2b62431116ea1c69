//! What the backend may still come to when a connection has ended.

use frontend::Remnant;
use hv::Hypervisor;

use crate::queues::Queues;

/// The rings of a connection that has ended.
pub(crate) struct Left<H: Hypervisor> {
    queues: Queues<H>,
    /// Pages that the backend may still come to, until they are parked.
    pages: usize,
}

impl<H: Hypervisor> Left<H> {
    /// Ends the connection. Allocates nothing.
    pub(crate) fn new(mut queues: Queues<H>) -> Self {
        let pages = queues.end();
        Self { queues, pages }
    }
}

impl<H: Hypervisor> Remnant for Left<H> {
    fn is_held(&mut self) -> bool {
        self.queues.is_mapped()
    }

    fn park(&mut self) {
        self.queues.park();
        self.pages = 0;
    }

    fn pages(&self) -> usize {
        self.pages
    }
}
