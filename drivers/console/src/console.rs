//! The console as the shell uses it.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::Notify;
use hv::Hypervisor;
use pv::Pv;

use crate::queue::{CAPACITY, Queue};
use crate::task::{Line, run};

/// Bytes typed that may wait for a reader. The rest waits in the ring, and then in the daemon.
pub(crate) const INPUT: usize = 4096;
/// How long [`Console::print`] waits for a daemon that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// A handle to the primary console; clones use the same one.
///
/// Nothing here waits for ever for the console daemon: what it does not take is dropped, oldest
/// lines first, and their number is printed when it takes something again.
pub struct Console<H: Hypervisor> {
    pv: Pv<H>,
    shared: Rc<Shared>,
}

impl<H: Hypervisor> Clone for Console<H> {
    fn clone(&self) -> Self {
        Self {
            pv: self.pv.clone(),
            shared: self.shared.clone(),
        }
    }
}

/// What handles and task share.
pub(crate) struct Shared {
    pub(crate) queue: RefCell<Queue>,
    pub(crate) input: RefCell<VecDeque<u8>>,
    /// Bytes were typed.
    pub(crate) typed: Notify,
    /// There is something to print, or room for more input.
    pub(crate) work: Notify,
    /// The daemon has taken something.
    pub(crate) taken: Notify,
    /// The same, for whoever waits for the end.
    pub(crate) progress: Notify,
    /// Everything has been taken.
    pub(crate) idle: Cell<bool>,
    /// A daemon serves the page.
    pub(crate) connected: Cell<bool>,
    pub(crate) printed: Cell<u64>,
    pub(crate) log_lines_lost: Cell<u64>,
}

/// How the console has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsoleUse {
    /// Bytes given to the daemon.
    pub printed: u64,
    /// Lines dropped because the daemon took none.
    pub dropped: u64,
    /// Log lines overwritten before they could be printed; `dmesg` has lost them too.
    pub log_lines_lost: u64,
    /// Whether a daemon serves the page.
    pub connected: bool,
}

impl<H: Hypervisor> Console<H> {
    /// Takes over the console that start_info names, and prints the log on it, from its first line
    /// on. To be called once per domain.
    pub fn start(pv: &Pv<H>) -> Self {
        let (page, _) = pv.hv.console_ring();
        let channel = pv.events.adopt(|hv: &H| hv.console_ring().1, "console");
        let shared = Rc::new(Shared {
            queue: RefCell::new(Queue::new()),
            input: RefCell::default(),
            typed: Notify::new(),
            work: Notify::new(),
            taken: Notify::new(),
            progress: Notify::new(),
            idle: Cell::new(false),
            connected: Cell::new(false),
            printed: Cell::new(0),
            log_lines_lost: Cell::new(0),
        });
        let line = Line::new(page, shared.clone(), pv.log.clone());
        pv.exec.spawn("console", run(line, channel));
        Self {
            pv: pv.clone(),
            shared,
        }
    }

    /// Prints bytes, without waiting. Of more than 16 KiB that the daemon has not taken, the oldest
    /// lines are dropped. A line feed moves to the next line's start.
    pub fn write_bytes(&self, bytes: &[u8]) {
        self.shared.queue.borrow_mut().push(bytes);
        self.shared.idle.set(false);
        self.shared.work.notify();
    }

    /// Prints bytes, waiting for room so that nothing need be dropped; but not if no daemon serves
    /// the console, and no longer than two seconds for one that takes nothing. For one task at a
    /// time.
    pub async fn print(&self, bytes: &[u8]) {
        for piece in bytes.chunks(CAPACITY / 4) {
            let mut waits = true;
            while waits && self.shared.queue.borrow().len() > CAPACITY / 2 {
                let taken = self.shared.taken.notified();
                waits = self.shared.connected.get()
                    && self.pv.exec.timeout(PATIENCE, taken).await.is_ok();
            }
            self.write_bytes(piece);
        }
    }

    /// Waits until something is typed, and returns all of it. For one reader.
    pub async fn read(&self) -> Vec<u8> {
        loop {
            let bytes: Vec<u8> = self.shared.input.borrow_mut().drain(..).collect();
            if !bytes.is_empty() {
                self.shared.work.notify();
                return bytes;
            }
            self.shared.typed.notified().await;
        }
    }

    /// Waits until the daemon has taken everything printed and logged, at most `limit`; says
    /// whether it has. For one task at a time.
    pub async fn flush(&self, limit: Duration) -> bool {
        self.shared.idle.set(false);
        self.shared.work.notify();
        let idle = async {
            while !self.shared.idle.get() {
                self.shared.progress.notified().await;
            }
        };
        self.pv.exec.timeout(limit, idle).await.is_ok()
    }

    /// How the console has been used.
    #[must_use]
    pub fn usage(&self) -> ConsoleUse {
        ConsoleUse {
            printed: self.shared.printed.get(),
            dropped: self.shared.queue.borrow().dropped(),
            log_lines_lost: self.shared.log_lines_lost.get(),
            connected: self.shared.connected.get(),
        }
    }
}
