//! Byte rings: a console's or a xenstore connection's two streams of bytes.

use hv::SharedMem;

use crate::PeerFault;
use crate::index::ahead;

/// Where one byte ring lies in its page. Offsets are in bytes, the indices are 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRing {
    /// First byte of the buffer.
    pub buffer: usize,
    /// The buffer's length, a power of two.
    pub length: u32,
    /// The reader's index.
    pub cons: usize,
    /// The reader's index by its name in the Xen header.
    pub cons_name: &'static str,
    /// The writer's index.
    pub prod: usize,
    /// The writer's index by its name in the Xen header.
    pub prod_name: &'static str,
}

/// Where the two byte rings of a page lie, as one end sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLayout {
    /// The ring this end reads.
    pub incoming: ByteRing,
    /// The ring this end writes.
    pub outgoing: ByteRing,
}

impl StreamLayout {
    /// The same page as the other end sees it.
    #[must_use]
    pub const fn other_end(self) -> Self {
        Self {
            incoming: self.outgoing,
            outgoing: self.incoming,
        }
    }
}

/// One end of two byte rings. Whoever reads or writes at least one byte sends an event afterwards:
/// the other end may be waiting for bytes or for room.
#[derive(Debug)]
pub struct ByteStream<M> {
    memory: M,
    layout: StreamLayout,
    /// This end's index of the incoming ring.
    cons: u32,
    /// This end's index of the outgoing ring.
    prod: u32,
}

impl<M: SharedMem> ByteStream<M> {
    /// Attaches to a page. This end goes on where its own indices stand, which need not be 0
    /// (docs/misc/xenstore-ring.txt); from now on they are private.
    #[must_use]
    pub fn attach(memory: M, layout: StreamLayout) -> Self {
        let cons = memory.load_u32(layout.incoming.cons);
        let prod = memory.load_u32(layout.outgoing.prod);
        Self {
            memory,
            layout,
            cons,
            prod,
        }
    }

    /// Takes this end's indices from the page again, after the other end has reset it.
    pub fn reattach(&mut self) {
        self.cons = self.memory.load_u32(self.layout.incoming.cons);
        self.prod = self.memory.load_u32(self.layout.outgoing.prod);
    }

    /// Forgets what there is to read: it is of no use any more.
    pub fn skip(&mut self) {
        let ring = &self.layout.incoming;
        self.cons = self.memory.load_u32(ring.prod);
        self.memory.store_u32(ring.cons, self.cons);
    }

    /// The memory the rings lie in.
    #[must_use]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// How many bytes can be written now.
    ///
    /// # Errors
    /// A [`PeerFault`] if the other end claims to have read more than was written, or so little
    /// that the ring could not hold the rest.
    pub fn room(&self) -> Result<u32, PeerFault> {
        let ring = &self.layout.outgoing;
        let theirs = self.memory.load_u32(ring.cons);
        let waiting = self.prod.wrapping_sub(theirs);
        if waiting > ring.length {
            let (ours, limit) = (self.prod, ring.length);
            return Err(PeerFault {
                name: ring.cons_name,
                theirs,
                ours,
                limit,
            });
        }
        Ok(ring.length - waiting)
    }

    /// Writes as many of `bytes` as there is room for, and says how many.
    ///
    /// # Errors
    /// As [`room`](Self::room); nothing is written then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, PeerFault> {
        let count = bytes.len().min(self.room()? as usize);
        let ring = &self.layout.outgoing;
        let (start, first) = parts(ring, self.prod, count);
        self.memory.write(ring.buffer + start, &bytes[..first]);
        self.memory.write(ring.buffer, &bytes[first..count]);
        self.prod = advance(self.prod, count);
        self.memory.store_u32(ring.prod, self.prod);
        Ok(count)
    }

    /// Reads as many bytes as there are, at most `into.len()`, and says how many.
    ///
    /// # Errors
    /// A [`PeerFault`] if the other end claims to have written more than the ring holds, or less
    /// than was read.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, PeerFault> {
        let ring = &self.layout.incoming;
        let theirs = self.memory.load_u32(ring.prod);
        let waiting = ahead(ring.prod_name, theirs, self.cons, ring.length)?;
        let count = into.len().min(waiting as usize);
        let (start, first) = parts(ring, self.cons, count);
        self.memory.read(ring.buffer + start, &mut into[..first]);
        self.memory.read(ring.buffer, &mut into[first..count]);
        self.cons = advance(self.cons, count);
        self.memory.store_u32(ring.cons, self.cons);
        Ok(count)
    }
}

/// Where in the buffer `index` lies, and how many of `count` bytes lie before the buffer's end.
fn parts(ring: &ByteRing, index: u32, count: usize) -> (usize, usize) {
    let start = (index & (ring.length - 1)) as usize;
    (start, count.min(ring.length as usize - start))
}

fn advance(index: u32, count: usize) -> u32 {
    // No more than a ring's length at once, and that is 32 bits wide.
    index.wrapping_add(count as u32)
}
