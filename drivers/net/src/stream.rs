//! TCP as applications see it.

use alloc::rc::Rc;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use smoltcp::socket::tcp::{self, RecvError};
use smoltcp::wire::IpEndpoint;

use crate::NetError;
use crate::stack::{Key, Shared, listener_changed};

/// How long [`TcpStream::close`] waits until the peer has taken all.
const CLOSING: Duration = Duration::from_secs(30);

/// A port that connections are accepted at, on every interface there is or will be. Dropping it
/// closes the port; connections that were accepted live on.
pub struct TcpListener {
    pub(crate) shared: Rc<Shared>,
    pub(crate) port: u16,
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpListener({})", self.port)
    }
}

impl TcpListener {
    /// The next connection, and who made it. Waits for one; it never fails. Dropping the future
    /// loses no connection.
    pub async fn accept(&mut self) -> (TcpStream, IpEndpoint) {
        loop {
            let changed = {
                let mut stack = self.shared.stack.borrow_mut();
                if let Some((key, remote)) = stack.accept(self.port) {
                    drop(stack);
                    return (TcpStream::new(self.shared.clone(), key, remote), remote);
                }
                listener_changed(&stack.common, self.port)
            };
            if let Some(changed) = changed {
                changed.notified().await;
            }
        }
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        let now = self.shared.exec.now();
        let mut stack = self.shared.stack.borrow_mut();
        stack.close_listener(self.port, now);
    }
}

/// A connection that closes when nobody has it any more.
struct Connection {
    shared: Rc<Shared>,
    key: Key,
    remote: IpEndpoint,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let now = self.shared.exec.now();
        self.shared.stack.borrow_mut().release(self.key, now);
    }
}

impl Connection {
    fn poll_read(
        &self,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Result<usize, NetError>> {
        if into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut stack = self.shared.stack.borrow_mut();
        let socket = stack.socket(self.key).ok_or(NetError::Reset)?;
        match socket.recv_slice(into) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                // The peer may be told that there is room again.
                stack.activate(self.key);
                Poll::Ready(Ok(count))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(NetError::Reset)),
        }
    }

    fn poll_write(&self, context: &mut Context<'_>, from: &[u8]) -> Poll<Result<usize, NetError>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut stack = self.shared.stack.borrow_mut();
        let socket = stack.socket(self.key).ok_or(NetError::Reset)?;
        match socket.send_slice(from) {
            Ok(0) => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                stack.activate(self.key);
                Poll::Ready(Ok(count))
            }
            Err(_) if socket.state() == tcp::State::Closed => Poll::Ready(Err(NetError::Reset)),
            Err(_) => Poll::Ready(Err(NetError::Closed)),
        }
    }

    fn poll_closed(&self, context: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        let mut stack = self.shared.stack.borrow_mut();
        let socket = stack.socket(self.key).ok_or(NetError::Reset)?;
        match socket.state() {
            tcp::State::FinWait2 | tcp::State::TimeWait => Poll::Ready(Ok(())),
            tcp::State::Closed if socket.send_queue() > 0 => Poll::Ready(Err(NetError::Reset)),
            tcp::State::Closed => Poll::Ready(Ok(())),
            _ => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
        }
    }

    async fn close(&self) -> Result<(), NetError> {
        {
            let mut stack = self.shared.stack.borrow_mut();
            stack.socket(self.key).ok_or(NetError::Reset)?.close();
            stack.activate(self.key);
        }
        let closed = poll_fn(|context| self.poll_closed(context));
        let exec = self.shared.exec.clone();
        exec.timeout(CLOSING, closed)
            .await
            .unwrap_or(Err(NetError::TimedOut))
    }

    async fn connected(&self) -> Result<(), NetError> {
        poll_fn(|context| {
            let mut stack = self.shared.stack.borrow_mut();
            let socket = stack.socket(self.key).ok_or(NetError::Reset)?;
            match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    Poll::Pending
                }
                tcp::State::Closed => Poll::Ready(Err(NetError::Refused)),
                _ => Poll::Ready(Ok(())),
            }
        })
        .await
    }
}

/// A TCP connection. Dropping it (or both its halves) closes it politely, in the background and
/// within a bounded time: what was written still goes out.
pub struct TcpStream {
    connection: Rc<Connection>,
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpStream({})", self.connection.remote)
    }
}

impl TcpStream {
    pub(crate) fn new(shared: Rc<Shared>, key: Key, remote: IpEndpoint) -> Self {
        let connection = Connection {
            shared,
            key,
            remote,
        };
        Self {
            connection: Rc::new(connection),
        }
    }

    /// Waits until the peer has answered.
    pub(crate) async fn connected(&self) -> Result<(), NetError> {
        self.connection.connected().await
    }

    /// The two directions, for two tasks. The connection closes when both are dropped.
    #[must_use]
    pub fn split(self) -> (TcpReader, TcpWriter) {
        let reader = TcpReader {
            connection: self.connection.clone(),
        };
        let writer = TcpWriter {
            connection: self.connection,
        };
        (reader, writer)
    }

    /// The peer.
    #[must_use]
    pub fn remote(&self) -> IpEndpoint {
        self.connection.remote
    }

    /// Ends the connection at once, with a reset for the peer. What was written may be lost.
    pub fn abort(self) {
        let connection = &self.connection;
        let now = connection.shared.exec.now();
        let mut stack = connection.shared.stack.borrow_mut();
        if let Some(iface) = stack.iface(connection.key.iface) {
            iface.abort(connection.key.conn, now);
        }
    }

    /// Closes this direction, and waits until the peer has all that was written, or until the time
    /// for that is over. Reading goes on.
    ///
    /// # Errors
    /// The connection was reset, or the peer has not taken all in half a minute: it may
    /// be slow. What was written goes out still, after the stream is dropped.
    pub async fn close(&mut self) -> Result<(), NetError> {
        self.connection.close().await
    }
}

/// The receiving half of a [`TcpStream`].
pub struct TcpReader {
    connection: Rc<Connection>,
}

impl fmt::Debug for TcpReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpReader({})", self.connection.remote)
    }
}

/// The sending half of a [`TcpStream`].
pub struct TcpWriter {
    connection: Rc<Connection>,
}

impl fmt::Debug for TcpWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpWriter({})", self.connection.remote)
    }
}

impl TcpWriter {
    /// [`TcpStream::close`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(&mut self) -> Result<(), NetError> {
        self.connection.close().await
    }
}

impl ErrorType for TcpStream {
    type Error = NetError;
}
impl ErrorType for TcpReader {
    type Error = NetError;
}
impl ErrorType for TcpWriter {
    type Error = NetError;
}

/// At the peer's end of the stream 0 bytes are read. Dropping the future loses nothing.
impl Read for TcpReader {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, NetError> {
        poll_fn(|context| self.connection.poll_read(context, into)).await
    }
}

/// Dropping the future of a `write` means nothing was written. `flush` waits for nothing: what is
/// written goes out by itself.
impl Write for TcpWriter {
    async fn write(&mut self, from: &[u8]) -> Result<usize, NetError> {
        poll_fn(|context| self.connection.poll_write(context, from)).await
    }

    async fn flush(&mut self) -> Result<(), NetError> {
        Ok(())
    }
}

/// As [`TcpReader`]'s.
impl Read for TcpStream {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, NetError> {
        poll_fn(|context| self.connection.poll_read(context, into)).await
    }
}

/// As [`TcpWriter`]'s.
impl Write for TcpStream {
    async fn write(&mut self, from: &[u8]) -> Result<usize, NetError> {
        poll_fn(|context| self.connection.poll_write(context, from)).await
    }

    async fn flush(&mut self) -> Result<(), NetError> {
        Ok(())
    }
}
