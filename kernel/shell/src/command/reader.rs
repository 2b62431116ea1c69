//! A provider's bytes, in order, with several reads under way.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use geom::request::ReadIo;
use geom::{Device, Errno};

use crate::request::ByteRange;

/// The longest read, in bytes.
pub(super) const CHUNK: u64 = 64 << 10;
/// How many reads are under way at once; with [`CHUNK`] it bounds the memory a command uses.
pub(super) const IN_FLIGHT: usize = 4;

/// Reads a range from front to back. Dropping it gives up what is still under way.
pub(super) struct Reader<'device> {
    device: &'device Device,
    sector: u64,
    /// Where the next read starts; on a sector.
    next: u64,
    /// What was asked for.
    range: ByteRange,
    flights: VecDeque<(u64, ReadIo)>,
}

impl<'device> Reader<'device> {
    /// Reads `range`, which lies inside the device. It need not be whole sectors.
    pub(super) fn new(device: &'device Device, sector: u64, range: ByteRange) -> Self {
        Self {
            device,
            sector,
            next: range.offset / sector * sector,
            range,
            flights: VecDeque::with_capacity(IN_FLIGHT),
        }
    }

    /// The next bytes; `None` after the last ones.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<u8>, Errno>> {
        let end = self.range.offset + self.range.length;
        while self.flights.len() < IN_FLIGHT && self.next < end {
            let length = (end.next_multiple_of(self.sector) - self.next).min(CHUNK);
            let read = self.device.read(self.next, length as usize);
            self.flights.push_back((self.next, read));
            self.next += length;
        }
        let (start, read) = self.flights.pop_front()?;
        let bytes = match read.await {
            Ok(bytes) => bytes,
            Err(errno) => return Some(Err(errno)),
        };
        Some(Ok(self.wanted(start, bytes)))
    }

    /// What of `bytes`, read at `start`, was asked for.
    fn wanted(&self, start: u64, mut bytes: Vec<u8>) -> Vec<u8> {
        let end = self.range.offset + self.range.length;
        let keep = end.saturating_sub(start).min(bytes.len() as u64);
        bytes.truncate(keep as usize);
        let before = self.range.offset.saturating_sub(start).min(keep);
        bytes.drain(..before as usize);
        bytes
    }
}
