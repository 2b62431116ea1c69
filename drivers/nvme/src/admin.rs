//! The admin queue: commands that a task waits for.

use alloc::rc::Rc;
use core::cell::RefCell;

use exec::Notify;
use hv::{Hypervisor, Instant};

use crate::command::{Command, DataPointer};
use crate::completion::Completion;
use crate::fault::Misbehaviour;
use crate::queue::{Queue, address};
use crate::registers::Registers;
use crate::tags::Tags;

/// What came of a command, and the page it was given.
pub(crate) type Outcome<H> = (Completion, Option<<H as Hypervisor>::Page>);

/// Where a task waits for a command's end.
pub(crate) struct Answer<H: Hypervisor> {
    outcome: RefCell<Option<Outcome<H>>>,
    told: Notify,
}

impl<H: Hypervisor> Answer<H> {
    /// Waits for the end.
    pub(crate) async fn outcome(&self) -> Outcome<H> {
        loop {
            let outcome = self.outcome.borrow_mut().take();
            if let Some(outcome) = outcome {
                return outcome;
            }
            self.told.notified().await;
        }
    }
}

/// A command that the controller has. Its page is the device's until it completes, whether or not
/// somebody still waits.
struct Pending<H: Hypervisor> {
    page: Option<H::Page>,
    /// When it was given; `None` if it may take as long as it likes.
    since: Option<Instant>,
    answer: Rc<Answer<H>>,
}

/// The admin queue, and what was put into it.
pub(crate) struct Admin<H: Hypervisor> {
    queue: Queue<H>,
    tags: Tags<Pending<H>>,
}

impl<H: Hypervisor> Admin<H> {
    pub(crate) fn new(queue: Queue<H>) -> Self {
        let tags = Tags::new(queue.room());
        Self { queue, tags }
    }

    pub(crate) fn queue(&self) -> &Queue<H> {
        &self.queue
    }

    /// The command without an end, of those that have a limit, that was given first: its id, and
    /// when.
    pub(crate) fn oldest(&self) -> Option<(u16, Instant)> {
        let limited = self.tags.iter();
        let limited = limited.filter_map(|(id, pending)| Some((id, pending.since?)));
        limited.min_by_key(|(_, since)| *since)
    }

    /// Whether the controller still has this command.
    pub(crate) fn has(&self, id: u16) -> bool {
        self.tags.get(id).is_some()
    }

    /// Gives the controller a command about `page`, which has a limit `since` now if it has one;
    /// `None` if too many are outstanding.
    pub(crate) fn submit(
        &mut self,
        registers: &Registers<H>,
        mut command: Command,
        page: Option<H::Page>,
        since: Option<Instant>,
    ) -> Option<Rc<Answer<H>>> {
        let answer = Rc::new(Answer {
            outcome: RefCell::default(),
            told: Notify::new(),
        });
        if let Some(page) = &page {
            command.data = DataPointer::page(address(page));
        }
        let pending = Pending {
            page,
            since,
            answer: answer.clone(),
        };
        command.id = self.tags.insert(pending).ok()?;
        self.queue.push(&command);
        self.queue.show(registers);
        Some(answer)
    }

    /// Takes every completion there is. Returns how many.
    pub(crate) fn finish(&mut self, registers: &Registers<H>) -> Result<usize, Misbehaviour> {
        let mut count = 0;
        // No more can be right than are outstanding.
        while let Some(completion) = self.queue.take()? {
            let pending = self.tags.take(completion.id);
            let pending = pending.ok_or(Misbehaviour::UnknownId {
                queue: 0,
                id: completion.id,
            })?;
            *pending.answer.outcome.borrow_mut() = Some((completion, pending.page));
            pending.answer.told.notify();
            count += 1;
        }
        if count != 0 {
            self.queue.acknowledge(registers);
        }
        Ok(count)
    }

    /// Forgets what is outstanding; the controller must have been stopped. Who waits goes on
    /// waiting.
    pub(crate) fn restart(&mut self) {
        while self.tags.take_any().is_some() {}
        self.queue.restart();
    }
}
