//! From the queue of a disk to its driver, and back.

use alloc::rc::Rc;
use core::task::Waker;

use crate::bio::{Command, Completion, DiskBio, Piece, Token};
use crate::disk::DiskParams;
use crate::disk::door::Door;
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, DiskId, RequestId};
use crate::mesh::Mesh;
use crate::node::Kind;
use crate::provider::Base;
use crate::request::{Maker, Order, Request, Ticket};

/// What the head of a disk's queue comes to.
enum Head {
    /// Nothing can be sent now.
    Wait,
    /// Something for the driver.
    Send(Rc<Door>, Piece, RequestId),
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

    /// Starts a request. What the gate refuses ends at once.
    pub(crate) fn submit(&self, consumer: ConsumerId, order: Order, maker: Maker) {
        let mut graph = self.graph.borrow_mut();
        let passed = match graph.gate(consumer, &order) {
            Ok(Some(base)) => Ok(base),
            Ok(None) => Err(Ok(())),
            Err(errno) => Err(Err(errno)),
        };
        match passed {
            Ok(base) => {
                graph.enqueue(consumer, base, order, maker);
                drop(graph);
                self.send(base.disk);
            }
            Err(result) => {
                drop(graph);
                wake(maker.end(result));
            }
        }
    }

    /// Hands everything to the driver of `disk` that may go now.
    pub(crate) fn send(&self, disk: DiskId) {
        loop {
            let head = self.graph.borrow_mut().head(disk);
            match head {
                Head::Wait => return,
                Head::Ended(waker) => {
                    self.inbox.ring();
                    wake(waker);
                }
                Head::Send(door, piece, request) => {
                    self.inbox.reserve();
                    let token = Token::new(disk, request, piece.length, self.inbox.clone());
                    door.strategy(DiskBio::new(piece, token));
                }
            }
        }
    }

    /// Works on one completion. `false` if there is none.
    pub(crate) fn serve_completion(&self) -> bool {
        let Some(completion) = self.inbox.pop() else {
            return false;
        };
        let disk = completion.disk;
        let waker = self.graph.borrow_mut().completed(completion);
        wake(waker);
        self.send(disk);
        true
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Graph {
    /// Whether an order may pass, and to where. `None` if there is nothing to do.
    fn gate(&self, id: ConsumerId, order: &Order) -> Result<Option<Base>, Errno> {
        let consumer = self.consumers.get(&id).ok_or(Errno::NoDevice)?;
        let provider = self.provider_of(id).ok_or(Errno::NoDevice)?;
        let counts = consumer.counts;
        let opened = if order.command.writes() {
            counts.write
        } else {
            counts.read
        };
        if opened == 0 || consumer.closing {
            return Err(Errno::NotPermitted);
        }
        if let Some(errno) = provider.error {
            return Err(errno);
        }
        let disk = self.disks.get(&provider.base.disk).ok_or(Errno::NoDevice)?;
        if consumer.orphan || provider.media_size == 0 || !disk.is_live() {
            return Err(Errno::NoDevice);
        }
        let limits = disk.params.limits;
        match order.command {
            Command::Flush if !limits.can_flush => return Err(Errno::NotSupported),
            Command::Flush => {
                return Ok(Some(Base {
                    offset: 0,
                    ..provider.base
                }));
            }
            Command::Delete if !limits.can_delete => return Err(Errno::NotSupported),
            Command::Erase if !limits.can_erase => return Err(Errno::NotSupported),
            Command::Delete | Command::Erase | Command::Read | Command::Write => {}
        }
        let sector = u64::from(provider.sector_size);
        if !order.offset.is_multiple_of(sector) || !order.length.is_multiple_of(sector) {
            return Err(Errno::Invalid);
        }
        let end = order
            .offset
            .checked_add(order.length)
            .ok_or(Errno::BeyondEnd)?;
        if end > provider.media_size {
            return Err(Errno::BeyondEnd);
        }
        let offset = provider.base.offset + order.offset;
        Ok((order.length > 0).then_some(Base {
            offset,
            ..provider.base
        }))
    }

    fn enqueue(&mut self, consumer: ConsumerId, base: Base, order: Order, maker: Maker) {
        let id = RequestId(self.serial());
        let request = Request {
            consumer,
            disk: base.disk,
            command: order.command,
            ordered: order.ordered,
            sector_size: self
                .provider_of(consumer)
                .map_or(0, |provider| provider.sector_size),
            offset: base.offset,
            length: order.length,
            data: order.data,
            maker,
            issued: 0,
            issued_all: false,
            in_flight: 0,
            completed: 0,
            error: None,
        };
        self.requests.insert(id, request);
        if let Some(consumer) = self.consumers.get_mut(&consumer) {
            consumer.in_flight += 1;
        }
        if let Some(disk) = self.disks.get_mut(&base.disk) {
            disk.queue.push_back(id);
        }
    }

    /// Takes the next piece from a disk's queue.
    fn head(&mut self, id: DiskId) -> Head {
        let Some(disk) = self.disks.get_mut(&id) else {
            return Head::Wait;
        };
        let Some(first) = disk.queue.front().copied() else {
            return Head::Wait;
        };
        let Some(request) = self.requests.get_mut(&first) else {
            disk.queue.pop_front();
            return Head::Ended(None);
        };
        let refusal = if !disk.is_live() {
            Some(Errno::NoDevice)
        } else {
            refuse(request, &disk.params)
        };
        if let Some(errno) = refusal {
            disk.queue.pop_front();
            request.fail(errno);
            let over = request.is_over();
            return Head::Ended(if over { self.end_request(first) } else { None });
        }
        if !disk.door.is_free() {
            return Head::Wait;
        }
        match disk.barrier {
            Some(barrier) if barrier != first => return Head::Wait,
            None if request.ordered && disk.in_flight > 0 => return Head::Wait,
            None if request.ordered => disk.barrier = Some(first),
            _ => {}
        }
        let longest = disk.params.limits.longest(request.command);
        let piece = request.cut(longest, disk.params.sector_size);
        if request.issued_all {
            disk.queue.pop_front();
        }
        disk.in_flight += 1;
        Head::Send(disk.door.clone(), piece, first)
    }

    /// Notes that a piece is back. Returns the waker of a maker whose request has ended.
    fn completed(&mut self, completion: Completion) -> Option<Waker> {
        let Completion {
            disk: disk_id,
            request: id,
            length,
            result,
            dropped,
        } = completion;
        self.dropped_bios += u64::from(dropped);
        let disk = self.disks.get_mut(&disk_id)?;
        disk.in_flight -= 1;
        let request = self.requests.get_mut(&id)?;
        request.in_flight -= 1;
        match result {
            Ok(()) => request.completed += length,
            Err(errno) => {
                if !request.issued_all {
                    disk.queue.retain(|queued| *queued != id);
                }
                request.fail(errno);
            }
        }
        let waker = if request.is_over() {
            self.end_request(id)
        } else {
            None
        };
        self.advance(disk_id);
        waker
    }

    /// Ends a request that is over: tells its maker, and its consumer if that waits to close.
    fn end_request(&mut self, id: RequestId) -> Option<Waker> {
        let request = self.requests.remove(&id)?;
        if let Some(disk) = self.disks.get_mut(&request.disk) {
            disk.barrier = disk.barrier.filter(|barrier| *barrier != id);
        }
        self.advance(request.disk);
        if let Some(consumer) = self.consumers.get_mut(&request.consumer) {
            consumer.in_flight -= 1;
            let (geom, provider) = (consumer.geom, consumer.provider);
            if matches!(
                self.geoms.get(&geom).map(|node| &node.kind),
                Some(Kind::Taste)
            ) {
                self.post(provider, |pending| pending.step = true);
            }
            self.finish_close(request.consumer);
        }
        request.maker.end(request.result())
    }
}

/// Whether a request that passed the gate cannot be sent any more: the disk changed meanwhile.
fn refuse(request: &Request, params: &DiskParams) -> Option<Errno> {
    match request.command {
        _ if request.sector_size != params.sector_size => Some(Errno::NoDevice),
        Command::Flush => (!params.limits.can_flush).then_some(Errno::NotSupported),
        Command::Delete if !params.limits.can_delete => Some(Errno::NotSupported),
        Command::Erase if !params.limits.can_erase => Some(Errno::NotSupported),
        _ => {
            let end = request.offset + request.length;
            (end > params.media_size).then_some(Errno::BeyondEnd)
        }
    }
}
