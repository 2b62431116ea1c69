//! A client of the NBD server for the harnesses: a stream in memory, and two small disks.

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use exec::Executor;
use geom::disk::{Command, Disk, DiskBio, DiskHandle, DiskParams};
use geom::{Geom, Params};
use hv::Instant;
use nbd::{Export, Fault, Server};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Bytes of each disk: more than a request has under way.
pub const SIZE: usize = 640 << 10;

/// The exports: name, sector size, whether they may be written. Another, `absent`, has no disk.
pub const EXPORTS: [(&str, u32, bool); 3] = [
    ("disk", 512, true),
    ("fixed", 512, false),
    ("large", 4096, true),
];

/// One client, and the server it talks to.
pub struct Client {
    exec: Executor,
    geom: Geom,
    wire: Rc<Wire>,
    /// What the disk of `disk` and `fixed` holds.
    pub media: Rc<RefCell<Vec<u8>>>,
    ended: Rc<Cell<Option<Result<(), Fault>>>>,
    _disks: [DiskHandle; 2],
}

#[derive(Default)]
struct Wire {
    to_server: RefCell<VecDeque<u8>>,
    to_client: RefCell<Vec<u8>>,
    closed: Cell<bool>,
    /// The most that one call reads.
    piece: Cell<usize>,
    waker: Cell<Option<Waker>>,
}

impl Client {
    /// A client that has said nothing; the server reads at most `piece` bytes at a time.
    ///
    /// # Panics
    /// If there are no disks.
    #[must_use]
    pub fn new(piece: usize) -> Self {
        let geom = Geom::new(Params::default());
        let media = Rc::new(RefCell::new(vec![0x5a; SIZE]));
        let disk = |unit, sector_size, media: &Rc<RefCell<Vec<u8>>>| {
            let mut params = DiskParams::new("xbd", unit, SIZE as u64);
            params.sector_size = sector_size;
            params.limits.can_flush = true;
            params.limits.can_delete = true;
            let disk = geom.disk_create(params, Box::new(Ram(media.clone())));
            disk.expect("sound parameters")
        };
        let disks = [disk(0, 512, &media), disk(1, 4096, &Rc::default())];
        let names = EXPORTS.iter().map(|(name, ..)| *name).chain(["absent"]);
        let providers = ["xbd0", "xbd0", "xbd1", "xbd7"];
        let exports = names.zip(providers).map(|(name, provider)| Export {
            name: name.into(),
            provider: provider.into(),
            read_only: name == "fixed",
        });
        let exec = Executor::new();
        let server = Server::new(&geom, &exec, exports.collect());
        let wire = Rc::new(Wire::default());
        wire.piece.set(piece.max(1));
        let ended: Rc<Cell<_>> = Rc::default();
        let (end, halves) = (ended.clone(), (Half(wire.clone()), Half(wire.clone())));
        exec.spawn("client", async move {
            end.set(Some(
                server.serve([10, 0, 0, 1].into(), halves.0, halves.1).await,
            ));
        });
        let client = Self {
            exec,
            geom,
            wire,
            media,
            ended,
            _disks: disks,
        };
        client.run();
        client
    }

    /// Sends bytes; what is answered to them.
    #[must_use]
    pub fn say(&self, bytes: &[u8]) -> Vec<u8> {
        self.wire.to_server.borrow_mut().extend(bytes);
        self.wake();
        self.wire.to_client.take()
    }

    /// Closes the stream; what the server says of the end.
    ///
    /// # Errors
    /// As the server says.
    ///
    /// # Panics
    /// If the server has not ended, or something is left.
    pub fn hang_up(&self) -> Result<(), Fault> {
        self.wire.closed.set(true);
        self.wake();
        assert_eq!(self.exec.tasks(), [], "tasks are left");
        let open = |provider: &geom::ProviderInfo| !provider.counts.is_closed();
        assert!(
            !self.geom.providers().iter().any(open),
            "a provider is open"
        );
        self.ended.get().expect("an end")
    }

    /// Whether the server has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    fn wake(&self) {
        if let Some(waker) = self.wire.waker.take() {
            waker.wake();
        }
        self.run();
    }

    fn run(&self) {
        for _ in 0..1_000_000 {
            self.geom.poll(Duration::ZERO);
            let more = self.exec.turn(Instant(0));
            if !more && self.exec.tasks().iter().all(|task| !task.ready) {
                self.geom.poll(Duration::ZERO);
                if self.exec.tasks().iter().all(|task| !task.ready) {
                    return;
                }
            }
        }
        panic!("the server does not come to rest");
    }
}

struct Half(Rc<Wire>);

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|context| {
            let mut bytes = self.0.to_server.borrow_mut();
            let count = buffer.len().min(bytes.len()).min(self.0.piece.get());
            if count == 0 && !self.0.closed.get() {
                self.0.waker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            for (to, from) in buffer.iter_mut().zip(bytes.drain(..count)) {
                *to = from;
            }
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.to_client.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A disk in memory; one of no bytes reads as zeroes and forgets what is written.
struct Ram(Rc<RefCell<Vec<u8>>>);

impl Disk for Ram {
    fn strategy(&mut self, bio: DiskBio) {
        let mut media = self.0.borrow_mut();
        let range = bio.offset as usize..(bio.offset + bio.length) as usize;
        let bytes = media.get_mut(range).unwrap_or_default();
        let moved = match bio.command {
            _ if bytes.is_empty() => Ok(()),
            Command::Read => bio.data.write(0, bytes),
            Command::Write => bio.data.read(0, bytes),
            Command::Delete | Command::Erase => {
                bytes.fill(0);
                Ok(())
            }
            Command::Flush => Ok(()),
        };
        bio.complete(moved.map_err(|_| geom::Errno::Io));
    }

    fn gone(self: Box<Self>) {}
}
