//! A submission queue and its completion queue: two pages that the controller reads and writes.
//!
//! A completion is copied once, from the dword with its phase tag backwards, and what it names is
//! compared with what is known here before anything of it is used.

use hv::{Hypervisor, PAGE_SIZE, Page, SharedMem};

use crate::command::{COMMAND_SIZE, Command};
use crate::completion::{COMPLETION_SIZE, Completion};
use crate::fault::Misbehaviour;
use crate::registers::{Doorbell, Registers};
use crate::tags::MOST_TAGS;

/// The most entries: a page of commands.
const MOST_ENTRIES: u16 = (PAGE_SIZE / COMMAND_SIZE) as u16;

/// Where the device sees a page.
pub(crate) fn address<P: Page>(page: &P) -> u64 {
    page.mfn().0 * PAGE_SIZE as u64
}

/// A queue pair.
pub(crate) struct Queue<H: Hypervisor> {
    id: u16,
    entries: u16,
    commands: H::Page,
    completions: H::Page,
    /// Where the next command goes.
    tail: u16,
    /// How far the controller has said that it read.
    head: u16,
    /// Where the next completion is to appear, and with which phase tag.
    next: u16,
    phase: bool,
}

impl<H: Hypervisor> Queue<H> {
    /// Queue `id`, of as many of the `most` entries that the controller takes as fit a page. `None`
    /// without memory.
    pub(crate) fn new(hv: &H, id: u16, most: u32) -> Option<Self> {
        let entries = most.min(MOST_ENTRIES.into());
        Some(Self {
            id,
            entries: u16::try_from(entries).ok()?,
            commands: hv.alloc_page()?,
            completions: hv.alloc_page()?,
            tail: 0,
            head: 0,
            next: 0,
            phase: true,
        })
    }

    /// Makes it empty, for a controller that knows nothing of it.
    pub(crate) fn restart(&mut self) {
        self.commands.fill(0, PAGE_SIZE, 0);
        self.completions.fill(0, PAGE_SIZE, 0);
        (self.tail, self.head, self.next, self.phase) = (0, 0, 0, true);
    }

    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// So many commands can be outstanding: one entry stays free.
    pub(crate) fn room(&self) -> usize {
        (usize::from(self.entries) - 1).min(MOST_TAGS)
    }

    /// Where the device sees commands and completions.
    pub(crate) fn addresses(&self) -> (u64, u64) {
        (address(&self.commands), address(&self.completions))
    }

    /// Writes a command. The caller knows that fewer than [`room`](Self::room) are outstanding, and
    /// [shows](Self::show) it afterwards.
    pub(crate) fn push(&mut self, command: &Command) {
        let at = usize::from(self.tail) * COMMAND_SIZE;
        self.commands.write(at, &command.encode());
        self.tail = (self.tail + 1) % self.entries;
    }

    /// Tells the controller of what was written.
    pub(crate) fn show(&self, registers: &Registers<H>) {
        registers.ring(self.id, Doorbell::Submission, self.tail);
    }

    /// Takes the next completion, if there is one. What is taken is to be
    /// [acknowledged](Self::acknowledge).
    pub(crate) fn take(&mut self) -> Result<Option<Completion>, Misbehaviour> {
        let at = usize::from(self.next) * COMPLETION_SIZE;
        let last = self.completions.load_u32(at + 12);
        if Completion::phase(last) != self.phase {
            return Ok(None);
        }
        let dword = |index: usize| self.completions.load_u32(at + 4 * index);
        let completion = Completion::decode([dword(0), dword(1), dword(2), last]);
        let queue = self.id;
        if completion.sq != queue {
            let named = completion.sq;
            return Err(Misbehaviour::WrongQueue { queue, named });
        }
        let head = completion.sq_head;
        if !self.is_written(head) {
            return Err(Misbehaviour::Head { queue, head });
        }
        self.head = head;
        self.next += 1;
        if self.next == self.entries {
            self.next = 0;
            self.phase = !self.phase;
        }
        Ok(Some(completion))
    }

    /// Tells the controller which completions were taken.
    pub(crate) fn acknowledge(&self, registers: &Registers<H>) {
        registers.ring(self.id, Doorbell::Completion, self.next);
    }

    /// Whether the controller can have read up to `head`: not back, and not beyond what was
    /// written.
    fn is_written(&self, head: u16) -> bool {
        let from_known = |to: u16| (to + self.entries - self.head) % self.entries;
        head < self.entries && from_known(head) <= from_known(self.tail)
    }
}
