//! What becomes of the vifs.

use alloc::collections::VecDeque;
use alloc::string::String;
use core::cell::RefCell;

use exec::Notify;
use hv::Hypervisor;

use crate::Link;

/// What became of a vif.
pub enum Event<H: Hypervisor> {
    /// It is connected, for the first time or again: the former link of this name is gone.
    Up(Link<H>),
    /// The toolstack has taken away the vif of this name.
    Removed(String),
}

/// What nobody was told yet. At most one for each vif: what became of it last.
pub(crate) struct Events<H: Hypervisor> {
    waiting: RefCell<VecDeque<Event<H>>>,
    news: Notify,
}

impl<H: Hypervisor> Event<H> {
    fn name(&self) -> &str {
        match self {
            Self::Up(link) => link.name(),
            Self::Removed(name) => name,
        }
    }
}

impl<H: Hypervisor> Events<H> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: RefCell::default(),
            news: Notify::new(),
        }
    }

    pub(crate) fn push(&self, event: Event<H>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|other| other.name() != event.name());
        waiting.push_back(event);
        self.news.notify();
    }

    pub(crate) async fn next(&self) -> Event<H> {
        loop {
            if let Some(event) = self.waiting.borrow_mut().pop_front() {
                return event;
            }
            self.news.notified().await;
        }
    }
}
