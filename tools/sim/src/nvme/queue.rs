//! A queue pair as the controller sees it.

use hv::DomId;

use super::wire::{Command, DOORBELLS, completion};
use crate::{Frame, Xen};

/// A queue pair; the submission queue's number is the completion queue's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) number: u16,
    commands: u64,
    completions: u64,
    entries: u16,
    /// How far it was read.
    pub(super) head: u16,
    /// Where the next completion goes.
    tail: u16,
    phase: bool,
}

impl Queue {
    pub(super) fn new(number: u16, entries: u16, commands: u64, completions: u64) -> Self {
        Self {
            number,
            commands,
            completions,
            entries,
            head: 0,
            tail: 0,
            phase: true,
        }
    }

    fn doorbell(&self, registers: &Frame, which: usize) -> u16 {
        let at = DOORBELLS + (usize::from(self.number) * 2 + which) * 4;
        registers.u32(at) as u16
    }

    /// Takes the next command that the driver has shown.
    pub(super) fn fetch(&mut self, xen: &Xen, dom: DomId, registers: &Frame) -> Option<Command> {
        let tail = self.doorbell(registers, 0);
        if tail >= self.entries {
            xen.violation(format!("queue {} has no entry {tail}", self.number));
            return None;
        }
        if self.head == tail {
            return None;
        }
        let mut bytes = [0; 64];
        let at = self.commands + u64::from(self.head) * 64;
        xen.dma_read(dom, at, &mut bytes).ok()?;
        self.head = (self.head + 1) % self.entries;
        Some(Command::new(bytes))
    }

    /// Whether a completion that was written has not been acknowledged.
    pub(super) fn is_pending(&self, registers: &Frame) -> bool {
        self.doorbell(registers, 1) != self.tail
    }

    /// Writes a completion. One that finds no room is the driver's fault: it had more commands
    /// outstanding than its queue holds.
    pub(super) fn complete(
        &mut self,
        xen: &Xen,
        (dom, registers): (DomId, &Frame),
        result: u32,
        id: u16,
        status: u16,
        (more_head, more_queue): (u16, u16),
    ) {
        let next = (self.tail + 1) % self.entries;
        if next == self.doorbell(registers, 1) {
            xen.violation(format!("completion queue {} is full", self.number));
            return;
        }
        let place = (
            self.head.wrapping_add(more_head),
            self.number.wrapping_add(more_queue),
        );
        let bytes = completion(result, place, id, self.phase, status);
        let at = self.completions + u64::from(self.tail) * 16;
        let _violation_noted = xen.dma_write(dom, at, &bytes);
        self.tail = next;
        if next == 0 {
            self.phase = !self.phase;
        }
    }
}
