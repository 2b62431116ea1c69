//! The driver of a NOP.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::time::Duration;

use crate::bio::DiskBio;
use crate::disk::standing::Below;
use crate::disk::{Attribute, Disk};
use crate::errno::Errno;

use super::Tap;
use super::tap::Fate;

pub(super) struct NopDisk {
    below: Below,
    tap: Rc<Tap>,
    /// What is delayed, in the order of arrival.
    held: VecDeque<Held>,
}

struct Held {
    bio: DiskBio,
    fate: Fate,
    /// When it goes on; set by the first poll that sees it.
    due: Option<Duration>,
}

impl NopDisk {
    pub(super) fn new(below: Below, tap: Rc<Tap>) -> Self {
        Self {
            below,
            tap,
            held: VecDeque::new(),
        }
    }

    fn go_on(&self, bio: DiskBio, error: Option<Errno>) {
        match error {
            Some(errno) => bio.complete(Err(errno)),
            None => self.below.pass(bio),
        }
    }
}

impl Disk for NopDisk {
    fn strategy(&mut self, bio: DiskBio) {
        let fate = self.tap.judge(&bio);
        if fate.delay.is_zero() {
            return self.go_on(bio, fate.error);
        }
        let due = None;
        self.held.push_back(Held { bio, fate, due });
        self.below.call_timer();
    }

    fn timer(&mut self, now: Duration) -> Option<Duration> {
        for _ in 0..self.held.len() {
            let mut held = self.held.pop_front()?;
            let due = *held.due.get_or_insert(now + held.fate.delay);
            if due <= now {
                self.go_on(held.bio, held.fate.error);
            } else {
                self.held.push_back(held);
            }
        }
        self.held.iter().filter_map(|held| held.due).min()
    }

    fn getattr(&mut self, name: &str) -> Option<Result<Attribute, Errno>> {
        self.below.attribute(name)
    }

    fn gone(self: Box<Self>) {}
}
