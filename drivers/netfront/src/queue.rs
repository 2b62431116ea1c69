//! A pair of rings, and the event channels to them.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::task::Context;

use hv::{Access, DomId, Hypervisor, Instant};
use pv::{Channel, Granted, Pv};

use crate::fault::Fault;
use crate::pool::{NoPage, Room};
use crate::queues::{Keys, Peer};
use crate::receive::Receiver;
use crate::transmit::Transmitter;

/// The share of the domain's memory that is offered to be received into.
const SHARE: usize = 16;
/// The fewest pages with which a backend sends long packets too: they and what it holds back.
const FEWEST: usize = 32;
/// The most: a ring's entries.
const MOST: usize = 256;

/// Takes a zeroed page and grants it for reading and writing.
fn granted_page<H: Hypervisor>(pv: &Pv<H>, peer: DomId) -> Result<Granted<H>, NoPage> {
    let page = pv.hv.alloc_page().ok_or(NoPage::Memory)?;
    let granted = pv.grants.grant(page, peer, Access::ReadWrite);
    granted.map_err(|error| NoPage::Grant(error.refusal))
}

/// A pair of rings in use.
pub(crate) struct Queue<H: Hypervisor> {
    pub(crate) tx: Transmitter<H>,
    pub(crate) rx: Receiver<H>,
    /// `None` when it has ended.
    channels: Option<Channels<H>>,
}

struct Channels<H: Hypervisor> {
    /// For both rings, if there is no other.
    tx: Channel<H>,
    rx: Option<Channel<H>>,
}

impl<H: Hypervisor> Queue<H> {
    /// Empty rings, with pages to receive into; one of `queues` such pairs.
    pub(crate) fn new(
        pv: &Pv<H>,
        peer: Peer<'_>,
        split: bool,
        queues: usize,
    ) -> Result<Self, Fault> {
        let channel = || {
            let channel = pv.events.alloc_unbound(peer.domain, peer.name);
            channel.map_err(Fault::Port)
        };
        let page = || granted_page(pv, peer.domain).map_err(Fault::Memory);
        let share = pv.hv.memory_use().total / SHARE / queues;
        let pages: Result<Vec<_>, _> = (0..share.clamp(FEWEST, MOST)).map(|_| page()).collect();
        Ok(Self {
            tx: Transmitter::new(page()?),
            rx: Receiver::new(page()?, pages?),
            channels: Some(Channels {
                tx: channel()?,
                rx: if split { Some(channel()?) } else { None },
            }),
        })
    }

    /// Adds the nodes that tell the backend where the rings are; `folder` is what their keys begin
    /// with.
    pub(crate) fn add_keys(&self, folder: &str, keys: &mut Keys) {
        let mut add =
            |key: &str, value: u32| keys.push((format!("{folder}{key}"), value.to_string()));
        add("tx-ring-ref", self.tx.page().reference().0);
        add("rx-ring-ref", self.rx.page().reference().0);
        let Some(channels) = &self.channels else {
            return;
        };
        let port = channels.tx.port().0;
        match &channels.rx {
            None => add("event-channel", port),
            Some(rx) => {
                add("event-channel-tx", port);
                add("event-channel-rx", rx.port().0);
            }
        }
    }

    fn channels(&self) -> impl Iterator<Item = &Channel<H>> {
        let channels = self.channels.iter();
        channels.flat_map(|channels| {
            [Some(&channels.tx), channels.rx.as_ref()]
                .into_iter()
                .flatten()
        })
    }

    /// Until when an event of the backend's is not to be heard.
    pub(crate) fn quiet_until(&self) -> Option<Instant> {
        self.channels().filter_map(Channel::quiet_until).max()
    }

    /// Whether there was an event of the backend's; if not, the task is woken when there is.
    pub(crate) fn poll_event(&self, context: &mut Context<'_>) -> bool {
        // All are asked: what has rung is served with the others.
        let rang = |channel: &&Channel<H>| channel.poll_wait(context).is_ready();
        self.channels().filter(rang).count() != 0
    }

    /// Says whether the last event brought anything.
    pub(crate) fn count_event(&self, useful: bool) {
        for channel in self.channels() {
            if useful {
                channel.was_useful();
            } else {
                channel.was_spurious();
            }
        }
    }

    /// Shows the backend what is to be sent, and tells it if it must be told.
    pub(crate) fn publish_sent(&mut self) {
        if self.tx.publish()
            && let Some(channels) = &self.channels
        {
            channels.tx.notify();
        }
    }

    /// Shows the backend the pages that can be received into, and tells it if it must be told.
    pub(crate) fn publish_offered(&mut self) {
        if self.rx.publish()
            && let Some(channels) = &self.channels
        {
            channels.rx.as_ref().unwrap_or(&channels.tx).notify();
        }
    }

    /// Closes the channels.
    pub(crate) fn close(&mut self) {
        self.channels = None;
    }

    /// The rings' own pages.
    pub(crate) fn ring_pages(&self) -> [&Granted<H>; 2] {
        [self.tx.page(), self.rx.page()]
    }

    /// How many pages the backend may still come to.
    pub(crate) fn pages(&self) -> usize {
        let sent = self.tx.rooms().map(|room| room.references().count());
        self.rx.pages().count() + sent.sum::<usize>() + self.ring_pages().len()
    }

    /// Parks the pages that the backend may still come to.
    pub(crate) fn park(&self) {
        self.ring_pages().into_iter().for_each(Granted::park);
        self.rx.pages().for_each(Granted::park);
        self.tx.rooms().for_each(Room::park);
    }
}
