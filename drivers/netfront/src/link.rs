//! One connection, as smoltcp has its devices.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use hv::Hypervisor;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use xen_abi::io::netif::MAX_TX_SIZE;

use crate::Counters;
use crate::connection::Connection;
use crate::feature::Features;
use crate::frame::ETHERNET;
use crate::token::{RxToken, TxToken};

/// What is said of a vif in the store.
#[derive(Clone)]
pub(crate) struct Description {
    /// `xn0`.
    pub(crate) name: String,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: usize,
    /// What the toolstack wrote as its address.
    pub(crate) address_hint: Option<String>,
    pub(crate) features: Features,
}

/// One connection of a vif, from its Connected to its end. A device of smoltcp.
///
/// Its capabilities are those of this connection: an interface made over a former one is to be made
/// anew.
pub struct Link<H: Hypervisor> {
    connection: Rc<Connection<H>>,
    description: Description,
    /// The last packet received.
    frame: Vec<u8>,
    /// Multicast addresses that the backend was asked for.
    multicast: Vec<[u8; 6]>,
}

impl<H: Hypervisor> Link<H> {
    pub(crate) fn new(connection: Rc<Connection<H>>, description: Description) -> Self {
        Self {
            connection,
            description,
            frame: Vec::new(),
            multicast: Vec::new(),
        }
    }

    /// The vif's name: `xn0` is `device/vif/0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.description.name
    }

    /// Its Ethernet address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.description.mac
    }

    /// The longest IP packet.
    #[must_use]
    pub fn mtu(&self) -> usize {
        self.description.mtu
    }

    /// Whether the backend's side is up.
    #[must_use]
    pub fn carrier(&self) -> bool {
        self.connection.carrier()
    }

    /// Whether the connection has ended. What is sent is dropped then, and nothing is received; an
    /// [`Event`](crate::Event) tells what follows.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.connection.is_gone()
    }

    /// What the toolstack wrote as the vif's address (`ip=`), as it is.
    #[must_use]
    pub fn address_hint(&self) -> Option<&str> {
        self.description.address_hint.as_deref()
    }

    /// What went through.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.connection.counters()
    }

    /// Waits for something to do: a packet was received, there is room again for one to be sent,
    /// the carrier came or went, or the connection ended. For one waiting task.
    ///
    /// Only so many packets are received in one turn of the run loop, and this returns once in each
    /// at most, so that a backend that never stops does not hold the run loop. What was left makes
    /// it return in the next turn; if the connection has ended, each turn does.
    pub async fn changed(&self) {
        self.connection.changed().await;
    }

    /// Whether the backend sends only those multicast packets that
    /// [`set_multicast`](Self::set_multicast) lists: it can, and
    /// [was asked to](crate::Netfront::filter_multicast).
    #[must_use]
    pub fn filters_multicast(&self) -> bool {
        self.description.features.multicast
    }

    /// The multicast addresses to be received from now on; of no effect where the backend does not
    /// filter. Returns whether all was asked for; what there is no room to ask for now is the next
    /// time. Of addresses that are too many for the backend (Linux has room for 64) nothing is
    /// received.
    pub fn set_multicast(&mut self, addresses: &[[u8; 6]]) -> bool {
        if !self.filters_multicast() {
            return true;
        }
        let Self {
            connection,
            multicast,
            ..
        } = self;
        let ask =
            |add, address| connection.with(|queues| Ok(queues.ask(add, address))) == Some(true);
        multicast.retain(|known| addresses.contains(known) || !ask(false, *known));
        for address in addresses {
            if !multicast.contains(address) && ask(true, *address) {
                multicast.push(*address);
            }
        }
        let known = |address: &[u8; 6]| multicast.contains(address);
        addresses.iter().all(known) && multicast.iter().all(|known| addresses.contains(known))
    }
}

impl<H: Hypervisor> Device for Link<H> {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a, H>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_, H>)> {
        let length = self.connection.receive(&mut self.frame)?;
        let frame = self.frame.get(..length)?;
        Some((RxToken::new(frame), TxToken::new(&self.connection)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_, H>> {
        let room = self.connection.has_room();
        room.then(|| TxToken::new(&self.connection))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let Description { features, mtu, .. } = &self.description;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = mtu + ETHERNET;
        // Made and checked by this driver or by the backend.
        capabilities.checksum.tcp = Checksum::None;
        // Not for IPv6: smoltcp 0.14 would make such packets and drop them.
        capabilities.segmentation.tcpv4 =
            NonZeroUsize::new(MAX_TX_SIZE).filter(|_| features.cuts());
        capabilities
    }
}
