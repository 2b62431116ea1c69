//! UDP.

use alloc::rc::Rc;
use alloc::vec;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, SendError, Socket};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::NetError;
use crate::stack::{Shared, is_peer};

/// What may wait to be received, datagrams and their bytes: all that an interface takes in one turn
/// of the run loop, and as much again while its reader is at work.
const WAITING: (usize, usize) = (128, 192 << 10);
/// What may wait to be sent.
const LEAVING: (usize, usize) = (16, 16 << 10);
/// The longest datagram that is sent; smoltcp cuts no longer one into fragments.
const LONGEST: usize = 8 << 10;

/// A UDP port, on every interface there is or will be. Dropping it closes the port;
/// what it was given still goes out, if that takes no longer than some seconds.
pub struct UdpSocket {
    pub(crate) shared: Rc<Shared>,
    pub(crate) id: u64,
    pub(crate) port: u16,
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UdpSocket({})", self.port)
    }
}

/// A socket of one interface at `port`.
pub(crate) fn make(port: u16) -> Socket<'static> {
    let buffer = |(datagrams, bytes): (usize, usize)| {
        PacketBuffer::new(vec![PacketMetadata::EMPTY; datagrams], vec![0; bytes])
    };
    let mut socket = Socket::new(buffer(WAITING), buffer(LEAVING));
    // Port 0 was refused before.
    let _bound = socket.bind(port);
    socket
}

impl UdpSocket {
    /// The port it has.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next datagram: how many of its bytes are in `into` (the rest is lost), and who sent it.
    /// Dropping the future loses nothing.
    pub async fn receive(&mut self, into: &mut [u8]) -> (usize, IpEndpoint) {
        poll_fn(|context| self.poll_receive(context, into)).await
    }

    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<(usize, IpEndpoint)> {
        let mut stack = self.shared.stack.borrow_mut();
        for iface in &mut stack.ifaces {
            let Some((_, handle)) = iface.udp.iter().find(|(id, _)| *id == self.id) else {
                continue;
            };
            let socket = iface.others.get_mut::<Socket<'_>>(*handle);
            while let Ok((bytes, from)) = socket.recv() {
                // One cannot answer nobody.
                if is_peer(from.endpoint.addr) {
                    let count = bytes.len().min(into.len());
                    if let (Some(into), Some(bytes)) = (into.get_mut(..count), bytes.get(..count)) {
                        into.copy_from_slice(bytes);
                    }
                    return Poll::Ready((count, from.endpoint));
                }
            }
            socket.register_recv_waker(context.waker());
        }
        if let Some(port) = stack.common.udp.get_mut(&self.id) {
            port.reader = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Sends a datagram; waits until there is room for it. That it arrives nobody knows.
    ///
    /// # Errors
    /// No interface leads to `to`, one cannot speak to it, or the datagram is too long.
    pub async fn send(&mut self, bytes: &[u8], to: IpEndpoint) -> Result<(), NetError> {
        if !is_peer(to.addr) || to.port == 0 {
            return Err(NetError::BadAddress);
        }
        if bytes.len() > LONGEST {
            return Err(NetError::TooLong);
        }
        poll_fn(|context| self.poll_send(context, bytes, to)).await
    }

    fn poll_send(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: IpEndpoint,
    ) -> Poll<Result<(), NetError>> {
        let mut stack = self.shared.stack.borrow_mut();
        let iface = stack.way_to(to.addr).ok_or(NetError::Unreachable)?;
        // Of IPv6's packets smoltcp makes no fragments: 40 bytes of IPv6 and 8 of UDP.
        let longest = iface.mtu().saturating_sub(40 + 8);
        if matches!(to.addr, IpAddress::Ipv6(_)) && bytes.len() > longest {
            return Poll::Ready(Err(NetError::TooLong));
        }
        let mine = iface.udp.iter().find(|(id, _)| *id == self.id);
        let Some((_, handle)) = mine else {
            return Poll::Ready(Err(NetError::Unreachable));
        };
        let socket = iface.others.get_mut::<Socket<'_>>(*handle);
        match socket.send_slice(bytes, to) {
            Ok(()) => {
                iface.activate_others();
                Poll::Ready(Ok(()))
            }
            Err(SendError::BufferFull) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Err(SendError::Unaddressable) => Poll::Ready(Err(NetError::BadAddress)),
        }
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        let now = self.shared.exec.now();
        let mut stack = self.shared.stack.borrow_mut();
        stack.common.udp.remove(&self.id);
        for iface in &mut stack.ifaces {
            iface.release_udp(self.id, now);
        }
    }
}
