//! The sequence number of a segment that only acknowledges.
//!
//! It is that of the next byte that was never sent (RFC 9293, 3.10.7.4). smoltcp 0.14 says in it
//! what it will send next instead, which after a timeout is what is sent again. Its peer takes such
//! a segment for an old one and does not look at what it acknowledges; and if both ends have timed
//! out at the same time, each waits for the other until one gives up.

use smoltcp::wire::{TcpPacket, TcpSeqNumber};

/// How far a connection has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sequence {
    /// One past the last that was ever sent.
    next: Option<TcpSeqNumber>,
}

impl Sequence {
    /// One past the last that was ever sent, if anything was.
    pub(crate) fn sent(&self) -> Option<TcpSeqNumber> {
        self.next
    }

    /// Notes what is sent, and puts right where an acknowledgement stands.
    pub(crate) fn keep_up(&mut self, segment: &mut TcpPacket<&mut [u8]>) {
        if segment.rst() {
            return;
        }
        let (from, taken) = (segment.seq_number(), segment.segment_len());
        let after = from + taken;
        match self.next {
            Some(next) if taken == 0 => {
                if next > from {
                    segment.set_seq_number(next);
                }
            }
            Some(next) if !segment.syn() && after <= next => {}
            _ => self.next = Some(after),
        }
    }
}
