//! What smoltcp sees of a wire.

use alloc::vec;

use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::capture::Taps;
use crate::ident::allow_pieces;
use crate::segment::amend;
use crate::sequence::Sequence;
use crate::status::Traffic;

/// The least and the largest Ethernet frame that the stack can reckon with, in bytes.
const LEAST: usize = 14 + 576;
const LARGEST: usize = 14 + 65_521;

/// What an interface keeps of the frames that have passed, and about those that are sent.
pub(crate) struct Ledger {
    pub(crate) traffic: Traffic,
    /// The number of the next IPv4 packet.
    pub(crate) ident: u16,
    /// TCP's sums are made here, not by the wire.
    pub(crate) sums: bool,
}

/// Notes what passes, and sees to what segments say.
pub(crate) struct Meter<'a> {
    name: &'a str,
    ledger: &'a mut Ledger,
    taps: &'a mut Taps,
    now: hv::Instant,
    /// How far the connection has sent that this is for.
    pub(crate) sequence: Sequence,
    /// Something was sent to one host, and not a question to all.
    pub(crate) answered: bool,
}

impl<'a> Meter<'a> {
    /// For frames of no connection.
    pub(crate) fn new(
        name: &'a str,
        ledger: &'a mut Ledger,
        taps: &'a mut Taps,
        now: hv::Instant,
    ) -> Self {
        Self {
            name,
            ledger,
            taps,
            now,
            sequence: Sequence::default(),
            answered: false,
        }
    }

    pub(crate) fn received(&mut self, frame: &[u8]) {
        self.ledger.traffic.received += 1;
        self.ledger.traffic.received_bytes += frame.len() as u64;
        self.taps.note(self.name, self.now, false, frame);
    }

    fn sent(&mut self, frame: &mut [u8]) {
        allow_pieces(frame, &mut self.ledger.ident);
        amend(frame, &mut self.sequence, self.ledger.sums);
        // The first bit of who it is for says whether it is for a group.
        self.answered |= frame.first().is_some_and(|first| first & 1 == 0);
        self.ledger.traffic.sent += 1;
        self.ledger.traffic.sent_bytes += frame.len() as u64;
        self.taps.note(self.name, self.now, true, frame);
    }
}

/// The capabilities of `device` as the stack can bear them.
pub(crate) fn capabilities(device: &(impl Device + ?Sized)) -> DeviceCapabilities {
    let mut capabilities = device.capabilities();
    let mtu = capabilities.max_transmission_unit;
    capabilities.max_transmission_unit = mtu.clamp(LEAST, LARGEST);
    // smoltcp 0.14 drops the long IPv6 packets that it would make for this.
    capabilities.segmentation.tcpv6 = None;
    if capabilities.checksum.tcp.tx() {
        capabilities.segmentation.tcpv4 = None;
    }
    capabilities
}

/// A device without packets, for an interface to be made over.
pub(crate) struct Nothing(pub(crate) DeviceCapabilities);

impl Device for Nothing {
    type RxToken<'a> = Frame<'a>;
    type TxToken<'a> = NoToken;

    fn receive(&mut self, _: Instant) -> Option<(Frame<'_>, NoToken)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<NoToken> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}

/// The right to send nothing.
pub(crate) enum NoToken {}

impl TxToken for NoToken {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _length: usize, _f: F) -> R {
        match self {}
    }
}

/// A device with one received frame, and the right to send one answer.
pub(crate) struct OneFrame<'a, 'm, T> {
    pub(crate) frame: Option<&'a [u8]>,
    pub(crate) token: Option<MeteredToken<'a, 'm, T>>,
}

impl<'f, 'm, T: TxToken> Device for OneFrame<'f, 'm, T> {
    type RxToken<'a>
        = Frame<'f>
    where
        Self: 'a;
    type TxToken<'a>
        = MeteredToken<'f, 'm, T>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Frame<'f>, MeteredToken<'f, 'm, T>)> {
        Some((Frame(self.frame.take()?), self.token.take()?))
    }

    fn transmit(&mut self, _: Instant) -> Option<MeteredToken<'f, 'm, T>> {
        None
    }

    /// Asked of a device that is sent to.
    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

/// A received frame.
pub(crate) struct Frame<'a>(&'a [u8]);

impl RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// The right to send a frame, which is noted; or to send it nowhere.
pub(crate) struct MeteredToken<'a, 'm, T> {
    pub(crate) token: Option<T>,
    pub(crate) meter: &'a mut Meter<'m>,
}

impl<T: TxToken> TxToken for MeteredToken<'_, '_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let Some(token) = self.token else {
            return f(&mut vec![0; length]);
        };
        let meter = self.meter;
        token.consume(length, |frame| {
            let result = f(frame);
            meter.sent(frame);
            result
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        if let Some(token) = &mut self.token {
            token.set_meta(meta);
        }
    }
}

/// A wire that is sent on.
pub(crate) struct Outlet<'a, 'm, D: ?Sized> {
    pub(crate) device: &'a mut D,
    pub(crate) meter: &'a mut Meter<'m>,
    /// It has no carrier: what is sent is lost, as time goes on for whoever sent it.
    pub(crate) down: bool,
    /// Somebody wanted to send.
    pub(crate) asked: bool,
    /// There was no room for it.
    pub(crate) exhausted: bool,
}

impl<'m, D: Device + ?Sized> Device for Outlet<'_, 'm, D> {
    type RxToken<'a>
        = Frame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = MeteredToken<'a, 'm, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.asked = true;
        let token = if self.down {
            None
        } else {
            let token = self.device.transmit(now);
            self.exhausted |= token.is_none();
            Some(token?)
        };
        Some(MeteredToken {
            token,
            meter: self.meter,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}
