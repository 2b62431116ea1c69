//! Echo requests (ICMP and ICMPv6).

use alloc::rc::Rc;
use alloc::vec;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use hv::Instant;
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp::{Endpoint, PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress};

use crate::NetError;
use crate::stack::{Shared, is_peer};

/// Bytes of ICMP before the payload.
const HEADER: usize = 8;
/// The longest payload; smoltcp cuts no longer packet into fragments, and IPv6's not at all.
const LONGEST: usize = 16_000;
/// Answers that may wait.
const PACKETS: usize = 4;

/// Sends echo requests to one address; made by [`Net::ping`](crate::Net::ping).
pub struct Ping {
    shared: Rc<Shared>,
    iface: u32,
    handle: SocketHandle,
    to: IpAddress,
    ident: u16,
    sequence: u16,
}

impl fmt::Debug for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ping({})", self.to)
    }
}

/// An answer to an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Bytes of ICMP: 8 of header, and the payload.
    pub bytes: usize,
    /// Who answered.
    pub from: IpAddress,
    /// The number of the request.
    pub sequence: u16,
    /// From the request to the answer.
    pub time: Duration,
}

fn make(ident: u16) -> Socket<'static> {
    let buffer = || {
        let metadata = vec![PacketMetadata::EMPTY; PACKETS];
        PacketBuffer::new(metadata, vec![0; LONGEST + HEADER])
    };
    let mut socket = Socket::new(buffer(), buffer());
    // A socket that was just made can be bound to any.
    let _bound = socket.bind(Endpoint::Ident(ident));
    socket
}

impl Ping {
    pub(crate) fn new(shared: &Rc<Shared>, to: IpAddress) -> Result<Self, NetError> {
        if !is_peer(to) {
            return Err(NetError::BadAddress);
        }
        let mut stack = shared.stack.borrow_mut();
        let ident = ((stack.common.random)() >> 48) as u16;
        let iface = stack.way_to(to).ok_or(NetError::Unreachable)?;
        Ok(Self {
            shared: shared.clone(),
            iface: iface.id,
            handle: iface.others.add(make(ident)),
            to,
            ident,
            sequence: 0,
        })
    }

    /// Sends the next request, with `size` bytes of payload, and waits for its answer for `limit`.
    ///
    /// # Errors
    /// [`NetError::TimedOut`], the payload is too long, or the interface is gone.
    pub async fn echo(&mut self, size: usize, limit: Duration) -> Result<Reply, NetError> {
        self.sequence = self.sequence.wrapping_add(1);
        let sent = self.send(size)?;
        let exec = self.shared.exec.clone();
        let answer = poll_fn(|context| self.poll_answer(context, sent));
        let Ok(answer) = exec.timeout(limit, answer).await else {
            self.begin_anew();
            return Err(NetError::TimedOut);
        };
        answer
    }

    /// Forgets a request that may still wait for a neighbour that does not answer.
    fn begin_anew(&mut self) {
        let mut stack = self.shared.stack.borrow_mut();
        if let Some(iface) = stack.iface(self.iface) {
            iface.others.remove(self.handle);
            self.handle = iface.others.add(make(self.ident));
        }
    }

    /// The number of the last request.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.sequence
    }

    fn send(&mut self, size: usize) -> Result<Instant, NetError> {
        let mut stack = self.shared.stack.borrow_mut();
        let iface = stack.iface(self.iface).ok_or(NetError::Unreachable)?;
        let longest = match self.to {
            IpAddress::Ipv4(_) => LONGEST,
            IpAddress::Ipv6(_) => LONGEST.min(iface.mtu().saturating_sub(40 + HEADER)),
        };
        if size > longest {
            return Err(NetError::TooLong);
        }
        let source = iface.smol.get_source_address(&self.to);
        let source = source.ok_or(NetError::Unreachable)?;
        let payload: vec::Vec<u8> = (0..size).map(|at| at as u8).collect();
        let (ident, seq_no, data) = (self.ident, self.sequence, payload.as_slice());
        let socket = iface.others.get_mut::<Socket<'_>>(self.handle);
        let packet = socket.send(size + HEADER, self.to);
        let packet = packet.map_err(|_| NetError::Full)?;
        let checksums = ChecksumCapabilities::default();
        match (source, self.to) {
            (IpAddress::Ipv4(_), IpAddress::Ipv4(_)) => {
                let repr = Icmpv4Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                repr.emit(&mut Icmpv4Packet::new_unchecked(packet), &checksums);
            }
            (IpAddress::Ipv6(source), IpAddress::Ipv6(to)) => {
                let repr = Icmpv6Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                let mut packet = Icmpv6Packet::new_unchecked(packet);
                repr.emit(&source, &to, &mut packet, &checksums);
            }
            _ => return Err(NetError::Unreachable),
        }
        iface.activate_others();
        Ok((self.shared.clock)().0)
    }

    fn poll_answer(
        &self,
        context: &mut Context<'_>,
        sent: Instant,
    ) -> Poll<Result<Reply, NetError>> {
        let mut stack = self.shared.stack.borrow_mut();
        let iface = stack.iface(self.iface).ok_or(NetError::Unreachable)?;
        let socket = iface.others.get_mut::<Socket<'_>>(self.handle);
        while let Ok((packet, from)) = socket.recv() {
            if from == self.to && self.answered_by(packet) {
                let time = (self.shared.clock)().0.since(sent);
                return Poll::Ready(Ok(Reply {
                    bytes: packet.len(),
                    from,
                    sequence: self.sequence,
                    time,
                }));
            }
        }
        socket.register_recv_waker(context.waker());
        Poll::Pending
    }

    /// Whether `packet` is the answer to the last request; the stack has checked its sum.
    fn answered_by(&self, packet: &[u8]) -> bool {
        let kind = match self.to {
            IpAddress::Ipv4(_) => 0,
            IpAddress::Ipv6(_) => 129,
        };
        let [ident, sequence] = [self.ident, self.sequence].map(u16::to_be_bytes);
        matches!(packet, [of, 0, _, _, a, b, c, d, ..]
            if *of == kind && [*a, *b] == ident && [*c, *d] == sequence)
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let mut stack = self.shared.stack.borrow_mut();
        if let Some(iface) = stack.iface(self.iface) {
            iface.others.remove(self.handle);
        }
    }
}
