//! From the maker of a request to its driver.
//!
//! A request goes straight to the driver if nothing is in its way, and waits in the queue of its
//! disk otherwise: behind others, for a barrier, to be cut, or because the driver is busy with a
//! call of its own.

use alloc::rc::Rc;
use core::task::Waker;

use crate::bio::{DiskBio, Piece, Token};
use crate::disk::door::Door;
use crate::disk::gate::{gate, refuse};
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId};
use crate::inbox::Inbox;
use crate::mesh::{Mesh, STEPS};
use crate::request::{Maker, Order, Request, Rest, Ticket};

/// A piece that is to be handed to its driver.
struct Handover {
    door: Rc<Door>,
    bio: DiskBio,
}

/// What becomes of a request when it is made.
enum Admitted {
    /// It has ended, refused or carried out; its maker may be waiting.
    Ended(Option<Waker>),
    /// It waits in the queue of its disk.
    Waits(DiskId),
    /// It goes to its driver.
    Passes(DiskId, Handover),
}

/// What the head of a disk's queue comes to.
enum Head {
    /// Nothing can be sent now.
    Wait,
    /// Something for the driver.
    Send(Handover),
    /// A request ended without the driver; its maker may be waiting.
    Ended(Option<Waker>),
}

impl Mesh {
    /// Starts a request whose maker may wait for it.
    pub(crate) fn start(&self, consumer: ConsumerId, order: Order) -> Rc<Ticket> {
        let ticket = Rc::<Ticket>::default();
        self.submit(consumer, order, Maker::Ticket(ticket.clone()));
        ticket
    }

    /// Starts a request. What the gate refuses or the driver carries out at once has ended when
    /// this returns; what its driver completes in `strategy` too, unless a poll is running, which
    /// will end it.
    pub(crate) fn submit(&self, consumer: ConsumerId, order: Order, maker: Maker) {
        let entered = self.inbox.enter();
        let admitted = self
            .graph
            .borrow_mut()
            .admit(&self.inbox, consumer, order, maker);
        match admitted {
            Admitted::Ended(waker) => wake(waker),
            Admitted::Waits(disk) => self.send(disk),
            Admitted::Passes(disk, handover) => {
                if handover.run() {
                    self.send(disk);
                }
            }
        }
        if let Some(entered) = entered {
            if !self.inbox.is_empty() {
                self.serve_completions(STEPS);
            }
            self.inbox.leave_submission(entered);
        }
    }

    /// Hands everything to the driver of `disk` that may go now.
    pub(crate) fn send(&self, disk: DiskId) {
        loop {
            let head = self.graph.borrow_mut().head(&self.inbox, disk);
            match head {
                Head::Wait => return,
                Head::Ended(waker) => {
                    self.inbox.ring();
                    wake(waker);
                }
                Head::Send(handover) => drop(handover.run()),
            }
        }
    }
}

impl Handover {
    /// Tells whether another request found the driver busy meanwhile.
    #[inline]
    fn run(self) -> bool {
        self.door.strategy(self.bio);
        self.door.take_missed()
    }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Graph {
    /// Takes in a request, if it may pass. If nothing is in its way to the driver, it goes there as
    /// the one piece that it is; otherwise it waits in the queue of its disk.
    #[inline]
    fn admit(&mut self, inbox: &Rc<Inbox>, id: ConsumerId, order: Order, maker: Maker) -> Admitted {
        let consumer = self.consumers.get_mut(id);
        let provider = consumer.as_ref().map(|consumer| consumer.provider);
        let provider = provider.and_then(|id| self.providers.get(id));
        let disk = provider.and_then(|provider| self.disks.get_mut(provider.base.disk));
        let (Some(consumer), Some(provider), Some(disk)) = (consumer, provider, disk) else {
            return Admitted::Ended(maker.end(Err(Errno::NoDevice)));
        };
        let passage = match gate(consumer, provider, disk, &order) {
            Ok(passage) => passage,
            Err(result) => return Admitted::Ended(maker.end(result)),
        };
        let clear = !order.ordered && disk.is_clear(order.command, &passage);
        let piece = Piece {
            command: order.command,
            offset: passage.offset,
            length: passage.length,
            data: order.data,
            ordered: order.ordered,
        };
        // A taste hears of its reads by their ends.
        if clear
            && !consumer.tastes
            && let Some(result) = disk.door.at_once(&piece)
        {
            return Admitted::Ended(maker.end(result));
        }
        consumer.in_flight += 1;
        self.requests_made = self.requests_made.wrapping_add(1);
        let request = self.requests.add(self.requests_made, |_| Request {
            consumer: id,
            disk: passage.disk,
            maker,
            in_flight: u32::from(clear),
            waiting: !clear,
            error: None,
        });
        if clear {
            disk.in_flight += 1;
            let bio = DiskBio::new(piece, Token::new(request, inbox));
            let door = disk.door.clone();
            return Admitted::Passes(passage.disk, Handover { door, bio });
        }
        disk.queue.push_back(Rest {
            request,
            piece,
            sector_size: passage.sector_size,
        });
        Admitted::Waits(passage.disk)
    }

    /// Takes the next piece from a disk's queue.
    fn head(&mut self, inbox: &Rc<Inbox>, id: DiskId) -> Head {
        let Some(disk) = self.disks.get_mut(id) else {
            return Head::Wait;
        };
        let live = disk.is_live();
        let Some(rest) = disk.queue.front_mut() else {
            return Head::Wait;
        };
        let first = rest.request;
        let Some(request) = self.requests.get_mut(first) else {
            disk.queue.pop_front();
            return Head::Ended(None);
        };
        let refusal = if live {
            refuse(rest, &disk.params)
        } else {
            Some(Errno::NoDevice)
        };
        if let Some(errno) = refusal {
            disk.queue.pop_front();
            request.fail(errno);
            let over = request.is_over();
            if over && disk.barrier == Some(first) {
                disk.barrier = None;
            }
            let waker = if over { self.end_request(first) } else { None };
            self.advance(id);
            return Head::Ended(waker);
        }
        if !disk.door.is_free() {
            disk.door.miss();
            return Head::Wait;
        }
        match disk.barrier {
            Some(barrier) if barrier != first => return Head::Wait,
            None if rest.piece.ordered && disk.in_flight > 0 => return Head::Wait,
            None if rest.piece.ordered => disk.barrier = Some(first),
            _ => {}
        }
        let piece = match rest.cut(disk.params.limits.longest(rest.piece.command)) {
            Some(piece) => piece,
            None => {
                request.waiting = false;
                match disk.queue.pop_front() {
                    Some(rest) => rest.piece,
                    None => return Head::Wait,
                }
            }
        };
        request.in_flight += 1;
        disk.in_flight += 1;
        let bio = DiskBio::new(piece, Token::new(first, inbox));
        let door = disk.door.clone();
        Head::Send(Handover { door, bio })
    }
}
