//! What a NOP is told to do, and what it has done: shared by its driver and its owner.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use crate::bio::{Command, DiskBio};
use crate::errno::Errno;

use super::{Effect, Fault, MILLION};

/// What a NOP has seen and done since it was made or reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NopCounts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Deletes and erases.
    pub deletes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Bytes of the reads.
    pub read_bytes: u64,
    /// Bytes of the writes.
    pub written_bytes: u64,
    /// Requests that it failed.
    pub failed: u64,
    /// Requests that it delayed.
    pub delayed: u64,
}

/// What is to become of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) error: Option<Errno>,
}

/// See the module text.
pub(crate) struct Tap {
    faults: RefCell<Vec<Fault>>,
    random: Cell<u64>,
    counts: Cell<NopCounts>,
}

impl Tap {
    pub(super) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        Self {
            faults: RefCell::new(faults),
            random: Cell::new(seed),
            counts: Cell::default(),
        }
    }

    pub(super) fn configure(&self, faults: Vec<Fault>) {
        self.faults.replace(faults);
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        self.faults.borrow().clone()
    }

    pub(super) fn counts(&self) -> NopCounts {
        self.counts.get()
    }

    pub(super) fn reset(&self) {
        self.counts.take();
    }

    pub(crate) fn config(&self) -> Vec<(&'static str, String)> {
        let counts = self.counts();
        let faults: Vec<String> = self
            .faults()
            .iter()
            .map(|fault| format!("{fault}"))
            .collect();
        vec![
            ("faults", faults.join(", ")),
            ("failed", format!("{}", counts.failed)),
            ("delayed", format!("{}", counts.delayed)),
        ]
    }

    /// Counts a request and decides what is to become of it.
    pub(super) fn judge(&self, bio: &DiskBio) -> Fate {
        let mut counts = self.counts.get();
        match bio.command {
            Command::Read => {
                counts.reads += 1;
                counts.read_bytes += bio.length;
            }
            Command::Write => {
                counts.writes += 1;
                counts.written_bytes += bio.length;
            }
            Command::Delete | Command::Erase => counts.deletes += 1,
            Command::Flush => counts.flushes += 1,
        }
        let mut fate = Fate::default();
        for fault in &*self.faults.borrow() {
            if !fault.concerns(bio.command, bio.offset, bio.length) || !self.hits(fault.rate) {
                continue;
            }
            match fault.effect {
                Effect::Fail(errno) => fate.error = fate.error.or(Some(errno)),
                Effect::Delay(time) => fate.delay += time,
            }
        }
        counts.failed += u64::from(fate.error.is_some());
        counts.delayed += u64::from(!fate.delay.is_zero());
        self.counts.set(counts);
        fate
    }

    fn hits(&self, rate: u32) -> bool {
        self.draw() % u64::from(MILLION) < u64::from(rate)
    }

    /// The next random number: SplitMix64.
    fn draw(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
