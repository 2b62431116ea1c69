//! Echo requests that wait for their answer.
//!
//! smoltcp answers them at once or not at all: if it does not know where the neighbour is that the
//! answer is for, it asks for that in the answer's place. A neighbour that knows us already, as a
//! DHCP server does, would get no answer to its first one. So the question is kept, and asked again
//! when a neighbour has said where it is. What it says is believed no more than else.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use hv::Instant;

/// So many are kept, no longer than this, for so long.
const MOST: usize = 8;
const LONGEST: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(3);
/// When it is asked again if nobody has said anything: smoltcp does not look for two neighbours in
/// one second.
const AGAIN: Duration = Duration::from_millis(1050);

/// Frames that wait to be answered.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Until when.
    frames: VecDeque<(Vec<u8>, Instant)>,
    again: Option<Instant>,
}

impl Parked {
    /// `frame` got no answer.
    pub(crate) fn keep(&mut self, frame: &[u8], now: Instant) {
        if self.frames.len() < MOST && frame.len() <= LONGEST {
            self.put_back(frame.to_vec(), now.after(PATIENCE), now);
        }
    }

    /// It still got none.
    pub(crate) fn put_back(&mut self, frame: Vec<u8>, until: Instant, now: Instant) {
        if now < until {
            self.frames.push_back((frame, until));
            self.again = self.again.or(Some(now.after(AGAIN)));
        }
    }

    /// A neighbour has said where it is.
    pub(crate) fn neighbor_seen(&mut self, now: Instant) {
        if !self.frames.is_empty() {
            self.again = Some(now);
        }
    }

    /// What is to be answered now.
    pub(crate) fn take_due(&mut self, now: Instant) -> VecDeque<(Vec<u8>, Instant)> {
        if self.again.is_none_or(|again| now < again) {
            return VecDeque::new();
        }
        self.again = None;
        core::mem::take(&mut self.frames)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.again
    }
}
