//! One request of a frontend's on its way through GEOM.

use alloc::rc::Rc;

use geom::disk::Command;
use geom::{Buffer, Errno, Memory, Order};
use hv::{Hypervisor, Instant};
use iobuf::PeerMemory;
use xen_abi::io::blkif::{RSP_EOPNOTSUPP, RSP_ERROR, RSP_OKAY, Response};

use crate::request::{Refusal, Wish};
use crate::statistics::Statistics;

/// The longest piece that GEOM is asked for at once, in bytes. A request of one frontend must not
/// keep the others' waiting for longer than such a piece takes.
pub(crate) const PIECE: u64 = 128 << 10;

/// The longest part of a discard that GEOM is asked for at once, in bytes; they end at multiples of
/// it, so that no unit of the disk's is cut. A memory disk frees 4,096 pages then, in about the
/// time of a [`PIECE`] or two.
const DISCARD_PIECE: u64 = 16 << 20;

/// A request from the ring, until it is answered.
pub(crate) struct Slot<H: Hypervisor> {
    id: u64,
    operation: u8,
    taken: Instant,
    wish: Wish,
    /// The frontend's pages; used again for the next request in this slot.
    memory: Rc<PeerMemory<H>>,
    /// Bytes to read or write.
    length: u64,
    /// Bytes that GEOM was asked for.
    asked: u64,
    /// What is to be asked for next.
    stage: Stage,
    /// Orders that GEOM has not completed.
    outstanding: u32,
    error: Option<Errno>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    FlushFirst,
    Pieces,
    FlushLast,
    Asked,
}

impl<H: Hypervisor> Slot<H> {
    pub(crate) fn new(memory: PeerMemory<H>) -> Self {
        Self {
            id: 0,
            operation: 0,
            taken: Instant::default(),
            wish: Wish::Flush,
            memory: Rc::new(memory),
            length: 0,
            asked: 0,
            stage: Stage::Asked,
            outstanding: 0,
            error: None,
        }
    }

    /// The pages of the request that is about to use this slot.
    pub(crate) fn memory(&self) -> &PeerMemory<H> {
        &self.memory
    }

    /// Begins with a request whose segments [`memory`](Self::memory) has been given. Returns how
    /// many bytes it is about.
    pub(crate) fn begin(&mut self, (id, operation): (u64, u8), wish: Wish, now: Instant) -> u64 {
        self.id = id;
        self.operation = operation;
        self.wish = wish;
        self.taken = now;
        self.asked = 0;
        self.outstanding = 0;
        self.error = None;
        self.length = match wish {
            Wish::Read { .. } | Wish::Write { .. } => self.memory.len() as u64,
            Wish::Flush | Wish::Discard { .. } => 0,
        };
        self.stage = match wish {
            Wish::Write {
                flush_first: true, ..
            } => Stage::FlushFirst,
            Wish::Read { .. } | Wish::Write { .. } | Wish::Discard { .. } => Stage::Pieces,
            Wish::Flush => Stage::FlushLast,
        };
        self.length
    }

    /// The next thing that GEOM is to be asked for, of at most `longest` bytes, which are whole
    /// sectors; `None` when all was asked for. After an error nothing more is. `media_size` is the
    /// provider's.
    pub(crate) fn next_order(
        &mut self,
        longest: u64,
        media_size: impl FnOnce() -> u64,
    ) -> Option<Order> {
        if self.error.is_some() {
            self.stage = Stage::Asked;
        }
        let order = match self.stage {
            Stage::Asked => return None,
            Stage::FlushFirst => {
                self.stage = Stage::Pieces;
                flush()
            }
            Stage::FlushLast => {
                self.stage = Stage::Asked;
                flush()
            }
            Stage::Pieces => self.next_piece(longest, media_size),
        };
        self.outstanding += 1;
        Some(order)
    }

    /// Whether GEOM was asked for all of it.
    pub(crate) fn is_asked(&self) -> bool {
        self.stage == Stage::Asked
    }

    fn next_piece(&mut self, longest: u64, media_size: impl FnOnce() -> u64) -> Order {
        let (command, start, ordered) = match self.wish {
            Wish::Read { offset } => (Command::Read, offset, false),
            Wish::Write {
                offset, barrier, ..
            } => (Command::Write, offset, barrier),
            Wish::Discard {
                offset,
                length,
                secure,
            } => {
                let from = offset.saturating_add(self.asked);
                let left = length - self.asked;
                // What reaches beyond the end is GEOM's to refuse, as a whole.
                let part = match offset.checked_add(length) {
                    Some(end) if end <= media_size() => {
                        left.min(DISCARD_PIECE - from % DISCARD_PIECE)
                    }
                    _ => left,
                };
                self.asked += part;
                if self.asked == length {
                    self.stage = Stage::Asked;
                }
                return discard(from, part, secure);
            }
            Wish::Flush => return flush(),
        };
        let length = longest.min(self.length - self.asked);
        let at = usize::try_from(self.asked).unwrap_or(usize::MAX);
        let end = at.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        let memory: Rc<dyn Memory> = self.memory.clone();
        let whole = Buffer::over(memory);
        let data = whole.part(at..end).unwrap_or(whole);
        let offset = start.saturating_add(self.asked);
        self.asked += length;
        if self.asked == self.length {
            self.stage = match self.wish {
                Wish::Write { barrier: true, .. } => Stage::FlushLast,
                _ => Stage::Asked,
            };
        }
        Order {
            command,
            offset,
            length,
            data,
            ordered,
        }
    }

    /// Notes that GEOM is done with one order; says whether the request is over.
    pub(crate) fn completed(&mut self, result: Result<(), Errno>) -> bool {
        self.outstanding -= 1;
        if let Err(errno) = result {
            self.error.get_or_insert(errno);
            self.stage = Stage::Asked;
        }
        self.is_over()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outstanding == 0 && self.stage == Stage::Asked
    }

    /// The answer to a request that is over: has Xen make the copies that are still to be made.
    pub(crate) fn answer(&mut self, statistics: &mut Statistics, now: Instant) -> Response {
        let copied = self.memory.settle();
        let result = self.error.map_or(copied, Err);
        let status = match result {
            Ok(()) => RSP_OKAY,
            Err(Errno::NotSupported) => RSP_EOPNOTSUPP,
            Err(_) => RSP_ERROR,
        };
        match (result, self.wish) {
            (Err(_), _) => statistics.errors += 1,
            (Ok(()), Wish::Read { .. }) => {
                statistics.reads += 1;
                statistics.read_bytes += self.length;
            }
            (Ok(()), Wish::Write { .. }) => {
                statistics.writes += 1;
                statistics.written_bytes += self.length;
            }
            (Ok(()), Wish::Flush) => statistics.flushes += 1,
            (Ok(()), Wish::Discard { .. }) => statistics.discards += 1,
        }
        statistics.latency.note(now.since(self.taken));
        Response {
            id: self.id,
            operation: self.operation,
            status,
        }
    }
}

/// The answer to a request that is not carried out.
pub(crate) fn refused((id, operation): (u64, u8), refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::Error => RSP_ERROR,
        Refusal::NotSupported => RSP_EOPNOTSUPP,
    };
    Response {
        id,
        operation,
        status,
    }
}

fn flush() -> Order {
    Order {
        command: Command::Flush,
        offset: 0,
        length: 0,
        data: Buffer::zeroed(0),
        ordered: true,
    }
}

fn discard(offset: u64, length: u64, secure: bool) -> Order {
    Order {
        command: if secure {
            Command::Erase
        } else {
            Command::Delete
        },
        offset,
        length,
        data: Buffer::zeroed(0),
        ordered: false,
    }
}
