//! The I/O queue: requests on their way to the controller, and their ends.
//!
//! The data may be another domain's, and then Xen copies it, and may refuse to. So the copies of
//! all requests are noted first and made together; a request is shown to the controller, or
//! completed, only when its own are known to be done.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use exec::{Level, Log};
use geom::Errno;
use hv::{Hypervisor, Instant, PAGE_SIZE};
use pv::Pv;

use crate::command::{READ, WRITE};
use crate::completion::Status;
use crate::door::Ask;
use crate::fault::Misbehaviour;
use crate::offer::{Offer, Operation, errno};
use crate::pointer::{LIST_SIZE, MOST_PAGES};
use crate::pool::{Pool, PoolPage};
use crate::queue::Queue;
use crate::registers::Registers;
use crate::request::{Request, pages_of};
use crate::tags::{MOST_TAGS, Tags};

/// Lists of a page.
const LISTS_A_PAGE: usize = PAGE_SIZE / LIST_SIZE;
/// The pool of a controller is bounded by a share of the domain's memory.
const POOL_SHARE: usize = 16;

/// The I/O queue, and what was put into it.
pub(crate) struct Io<H: Hypervisor> {
    queue: Queue<H>,
    tags: Tags<Request<H>>,
    pool: Pool<H>,
    /// Where the lists of requests are, each in the place of its tag.
    lists: Vec<H::Page>,
    /// Requests whose data is on its way to their pages.
    filling: Vec<u16>,
    /// Ended requests whose data is on its way from their pages.
    emptying: Vec<(Request<H>, Status)>,
    /// Room for the pages of requests to come.
    spare: Vec<Vec<PoolPage<H>>>,
    offer: Offer,
    /// The controller has the queue.
    live: bool,
    log: Log,
    name: alloc::string::String,
}

impl<H: Hypervisor> Io<H> {
    /// Over an empty queue; `None` without memory.
    pub(crate) fn new(pv: &Pv<H>, name: &str, queue: Queue<H>) -> Option<Self> {
        let room = queue.room();
        let share = pv.hv.memory_use().total / POOL_SHARE;
        let pool = Pool::new(pv, MOST_PAGES, share.min(room * MOST_PAGES))?;
        let lists = (0..room.div_ceil(LISTS_A_PAGE)).map(|_| pv.hv.alloc_page());
        Some(Self {
            queue,
            tags: Tags::new(room),
            pool,
            lists: lists.collect::<Option<_>>()?,
            filling: Vec::with_capacity(room),
            emptying: Vec::with_capacity(room),
            spare: (0..room).map(|_| Vec::with_capacity(MOST_PAGES)).collect(),
            offer: Offer::default(),
            live: false,
            log: pv.log.clone(),
            name: name.into(),
        })
    }

    pub(crate) fn queue(&self) -> &Queue<H> {
        &self.queue
    }

    /// The controller has the queue, and can be asked for this.
    pub(crate) fn go_live(&mut self, offer: Offer) {
        (self.offer, self.live) = (offer, true);
    }

    /// Requests without an end.
    pub(crate) fn outstanding(&self) -> usize {
        self.tags.len()
    }

    /// Turns as many of `waiting` into commands as there is room for, and tells the controller.
    /// What finds no room stays, in order: a completion makes room.
    pub(crate) fn start(
        &mut self,
        registers: &Registers<H>,
        waiting: &mut VecDeque<Ask>,
        now: Instant,
    ) {
        while self.live
            && let Some(ask) = waiting.pop_front()
        {
            let opcode = match self.offer.operation(&ask.bio) {
                // The controller had it, and has another namespace of that number now.
                _ if !ask.open.get() => {
                    ask.bio.complete(Err(Errno::NoDevice));
                    continue;
                }
                Ok(Operation::Ask(opcode)) => opcode,
                Ok(Operation::Nothing) => {
                    ask.bio.complete(Ok(()));
                    continue;
                }
                Err(errno) => {
                    ask.bio.complete(Err(errno));
                    continue;
                }
            };
            let ask = self.cut(ask, opcode, waiting);
            if let Err(ask) = self.prepare(opcode, ask, now) {
                waiting.push_front(ask);
                break;
            }
        }
        self.send(registers);
    }

    /// What of `ask` one command can name; the rest goes back.
    fn cut(&self, mut ask: Ask, opcode: u8, waiting: &mut VecDeque<Ask>) -> Ask {
        let most = self.offer.longest(opcode, ask.shift);
        let Some(bio) = ask.bio.cut(most) else {
            return ask;
        };
        let front = Ask {
            bio,
            open: ask.open.clone(),
            ..ask
        };
        waiting.push_front(ask);
        front
    }

    /// Takes a tag and pages for `ask`, and notes the copies of what it writes; gives it back if
    /// there is no room.
    fn prepare(&mut self, opcode: u8, ask: Ask, now: Instant) -> Result<(), Ask> {
        if self.tags.is_full() {
            return Err(ask);
        }
        let mut pages = self.spare.pop().unwrap_or_default();
        if !self.pool.take(pages_of(opcode, &ask.bio), &mut pages) {
            self.spare.push(pages);
            return Err(ask);
        }
        let request = Request {
            ask: Some(ask),
            opcode,
            pages,
            since: now,
            aborting: false,
        };
        request.fill();
        match self.tags.insert(request) {
            Ok(id) => self.filling.push(id),
            Err(request) => {
                let ask = self.recycle(request);
                return ask.map_or(Ok(()), Err);
            }
        }
        Ok(())
    }

    /// Shows the controller what is prepared and whose data is there.
    fn send(&mut self, registers: &Registers<H>) {
        let mut pushed = false;
        let mut filling = core::mem::take(&mut self.filling);
        for id in filling.drain(..) {
            if let Err(errno) = self.push(id) {
                // The pages hold something else than what was to be written.
                if let Some(request) = self.tags.take(id)
                    && let Some(ask) = self.recycle(request)
                {
                    ask.bio.complete(Err(errno));
                }
                continue;
            }
            pushed = true;
        }
        self.filling = filling;
        if pushed {
            self.queue.show(registers);
        }
    }

    fn push(&mut self, id: u16) -> Result<(), Errno> {
        let request = self.tags.get(id).ok_or(Errno::Io)?;
        if request.opcode == WRITE
            && let Some(ask) = &request.ask
        {
            ask.bio.data.settle()?;
        }
        let place = usize::from(id) % MOST_TAGS;
        let lists = self.lists.get(place / LISTS_A_PAGE).ok_or(Errno::Io)?;
        let place = (lists, place % LISTS_A_PAGE * LIST_SIZE);
        let command = request.command(self.offer.scatters, place);
        let mut command = command.ok_or(Errno::Invalid)?;
        command.id = id;
        self.queue.push(&command);
        Ok(())
    }

    /// Takes every completion there is and ends those requests; one that the controller could not
    /// do now goes back to the front of `waiting`, once. Returns how many there were.
    ///
    /// # Errors
    /// The first thing the controller may not do. What was completed before is ended.
    pub(crate) fn finish(
        &mut self,
        registers: &Registers<H>,
        waiting: &mut VecDeque<Ask>,
    ) -> Result<usize, Misbehaviour> {
        let taken = self.take_completions();
        let count = self.emptying.len();
        if count != 0 {
            self.queue.acknowledge(registers);
        }
        let mut emptying = core::mem::take(&mut self.emptying);
        for (request, status) in emptying.drain(..) {
            self.end(request, status, waiting);
        }
        self.emptying = emptying;
        taken.map(|()| count)
    }

    /// Takes every completion there is, and notes the copies of what was read.
    fn take_completions(&mut self) -> Result<(), Misbehaviour> {
        while let Some(completion) = self.queue.take()? {
            let request = self.tags.take(completion.id);
            let request = request.ok_or(Misbehaviour::UnknownId {
                queue: completion.sq,
                id: completion.id,
            })?;
            if completion.status.is_success() {
                request.empty();
            }
            self.emptying.push((request, completion.status));
        }
        Ok(())
    }

    fn end(&mut self, request: Request<H>, status: Status, waiting: &mut VecDeque<Ask>) {
        let read = request.opcode == READ;
        let settled = match &request.ask {
            Some(ask) if read && status.is_success() => ask.bio.data.settle(),
            _ => Ok(()),
        };
        let Some(ask) = self.recycle(request) else {
            return;
        };
        if status.is_success() {
            ask.bio.complete(settled);
            return;
        }
        let text = format_args!("namespace {}, {:?}: {status}", ask.namespace, ask.bio);
        self.log.limited(Level::Warn, &self.name, text);
        if status.is_final() || ask.repeated {
            ask.bio.complete(Err(errno(status)));
        } else {
            waiting.push_front(Ask {
                repeated: true,
                ..ask
            });
        }
    }

    /// Gives the pages of a request back that nothing is copied to or from; returns what was asked.
    fn recycle(&mut self, mut request: Request<H>) -> Option<Ask> {
        self.pool.give(&mut request.pages);
        self.spare.push(request.pages);
        request.ask
    }

    /// Lets go of the pages that no request uses, beyond what there may be now.
    pub(crate) fn trim(&mut self) {
        self.pool.trim();
    }

    /// The oldest request that the controller has had for `limit`, and was not told to abort.
    pub(crate) fn overdue(&self, now: Instant, limit: Duration) -> Option<u16> {
        let old = self
            .tags
            .iter()
            .filter(|(_, request)| !request.aborting && now.since(request.since) >= limit);
        old.min_by_key(|(_, request)| request.since)
            .map(|(id, _)| id)
    }

    /// Notes that the controller was told to abort a request.
    pub(crate) fn set_aborting(&mut self, id: u16) {
        if let Some(request) = self.tags.get_mut(id) {
            request.aborting = true;
        }
    }

    /// Whether the controller still has this request.
    pub(crate) fn has(&self, id: u16) -> bool {
        self.tags.get(id).is_some()
    }

    /// For a controller that has been stopped and is to be asked again: what it had is asked for
    /// once more, or has failed if it was repeated before.
    pub(crate) fn restart(&mut self, waiting: &mut VecDeque<Ask>) {
        self.live = false;
        self.filling.clear();
        while let Some(request) = self.tags.take_any() {
            match self.recycle(request) {
                Some(ask) if ask.repeated => ask.bio.complete(Err(Errno::Io)),
                Some(ask) => waiting.push_front(Ask {
                    repeated: true,
                    ..ask
                }),
                None => {}
            }
        }
        self.queue.restart();
    }

    /// Fails every request. Their pages stay where they are, for as long as this is kept: the
    /// controller may not have been stopped. Allocates nothing.
    pub(crate) fn abandon(&mut self, why: Errno) {
        self.live = false;
        for (_, request) in self.tags.iter_mut() {
            if let Some(ask) = request.ask.take() {
                ask.bio.complete(Err(why));
            }
        }
    }
}
