//! Where bytes from the client meet whoever wants them.

use alloc::vec::Vec;
use core::cell::Cell;

use exec::Notify;

/// A buffer on its way to the reading half of the stream and back. One task wants bytes at a time.
#[derive(Default)]
pub(crate) struct Intake {
    empty: Cell<Option<Vec<u8>>>,
    full: Cell<Option<Vec<u8>>>,
    wanted: Notify,
    filled: Notify,
}

impl Intake {
    /// Has all of `buffer` filled with the next bytes. If the stream ends before, this does not:
    /// the reading half ends then, and the connection with it.
    pub(crate) async fn exact(&self, buffer: Vec<u8>) -> Vec<u8> {
        self.empty.set(Some(buffer));
        self.wanted.notify();
        loop {
            if let Some(buffer) = self.full.take() {
                return buffer;
            }
            self.filled.notified().await;
        }
    }

    /// The next buffer to fill: for the reading half.
    pub(crate) async fn wanted(&self) -> Vec<u8> {
        loop {
            if let Some(buffer) = self.empty.take() {
                return buffer;
            }
            self.wanted.notified().await;
        }
    }

    /// Gives a buffer back, filled.
    pub(crate) fn deliver(&self, buffer: Vec<u8>) {
        self.full.set(Some(buffer));
        self.filled.notify();
    }
}
