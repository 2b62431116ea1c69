//! The server on a socket of this host, to try real clients on: one memory disk.
//!
//! ```text
//! cargo run -p nbd --example tcp -- PORT MEBIBYTES [SECTOR] &
//! qemu-img info nbd://127.0.0.1:PORT/disk
//! ```
//!
//! `disk` may be written, `disk-ro` is the same and may not.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use embedded_io_async::{ErrorType, Read, Write};
use exec::Executor;
use geom::class::md::MdParams;
use geom::{Geom, Memory, PageSource, Params};
use hv::Instant;
use nbd::{Export, Server};

const PAGE: usize = 4096;

struct Page(RefCell<[u8; PAGE]>);

impl Memory for Page {
    fn len(&self) -> usize {
        PAGE
    }

    fn copy_in(&self, at: usize, from: &[u8]) {
        self.0.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.borrow()[at..at + to.len()]);
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

struct Pages;

impl PageSource for Pages {
    fn page(&self) -> Option<Rc<dyn Memory>> {
        Some(Rc::new(Page(RefCell::new([0; PAGE]))))
    }

    fn page_size(&self) -> usize {
        PAGE
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }
}

/// One half of a socket that does not block.
struct Half(Rc<TcpStream>);

impl ErrorType for Half {
    type Error = embedded_io_async::ErrorKind;
}

async fn retry(
    mut call: impl FnMut() -> io::Result<usize>,
) -> Result<usize, embedded_io_async::ErrorKind> {
    poll_fn(|context| match call() {
        Ok(count) => Poll::Ready(Ok(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Err(_) => Poll::Ready(Err(embedded_io_async::ErrorKind::ConnectionReset)),
    })
    .await
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        retry(|| io::Read::read(&mut &*self.0, buffer)).await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        retry(|| io::Write::write(&mut &*self.0, bytes)).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().ok());
    let mut number = |otherwise| numbers.next().flatten().unwrap_or(otherwise);
    let (port, size, sector): (u64, u64, u64) = (number(10809), number(64), number(512));
    let geom = Geom::new(Params::default());
    geom.set_page_source(Rc::new(Pages));
    let disk = MdParams {
        sector_size: sector as u32,
        ..MdParams::new(size << 20)
    };
    let provider = geom.md_create(&disk).map_err(io::Error::other)?;
    let export = |name: &str, read_only| Export {
        name: name.into(),
        provider: provider.clone(),
        read_only,
    };
    let exec = Executor::new();
    let exports = vec![export("disk", false), export("disk-ro", true)];
    let server = Server::new(&geom, &exec, exports);
    let listener = TcpListener::bind(("127.0.0.1", port as u16))?;
    listener.set_nonblocking(true)?;
    let start = std::time::Instant::now();
    loop {
        if let Ok((stream, peer)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let (stream, server) = (Rc::new(stream), server.clone());
            exec.spawn("client", async move {
                let result = server
                    .serve(peer.ip(), Half(stream.clone()), Half(stream))
                    .await;
                println!("{peer}: {result:?}");
            });
        }
        let now = start.elapsed();
        geom.poll(now);
        // Whoever waits for a socket is always ready, and looks again after a short sleep.
        exec.turn(Instant(now.as_nanos() as u64));
        if exec.tasks().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
