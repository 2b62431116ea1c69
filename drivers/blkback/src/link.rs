//! A connection: the rings of one frontend, and the provider that answers their requests.

use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use exec::Sleep;
use geom::Completions;
use hv::{Access, DomId, Hypervisor, Instant};
use iobuf::{Copies, IoPage, PersistentGrants};
use pv::Pv;
use ring::{BackRing, Pages, PeerFault};

use crate::failure::Failure;
use crate::keys::Wanted;
use crate::ledger::Ledger;
use crate::medium::Medium;
use crate::polling::Polling;
use crate::queue::{Peer, Queue, Taken};
use crate::request::Terms;
use crate::share::{Appetite, LITTLE, Sharer, Sharers};
use crate::slot::PIECE;
use crate::statistics::Statistics;
use crate::tag::Tag;

/// Bytes that GEOM has of one connection at most. What is beyond waits in the ring, so that one
/// frontend's requests do not fill the queue of a disk that others use too.
const WINDOW: u64 = 8 * PIECE;
/// Bytes that one connection moves in a turn before the others have theirs.
const QUANTUM: u64 = 2 * PIECE;
/// The same beside another that asks for little at a time.
const QUANTUM_BESIDE: u64 = PIECE;
/// What a request costs of that however short it is.
const LEAST: u64 = 4 << 10;

/// Pages of one frontend's that stay mapped at most, as many as Linux keeps.
const MAX_PERSISTENT: usize = 1056;
/// A frontend that has asked for nothing for so long has nothing on its way.
const IDLE: Duration = Duration::from_secs(1);

/// A connection to a frontend.
pub(crate) struct Link<H: Hypervisor> {
    pv: Pv<H>,
    medium: Rc<Medium>,
    completions: Rc<Completions>,
    queues: Vec<Queue<H>>,
    terms: Terms,
    statistics: Rc<RefCell<Statistics>>,
    /// Bytes that GEOM may have of this connection now. One piece is always among them.
    window: u64,
    /// Bytes that GEOM was asked for and has not completed.
    in_flight: u64,
    /// With whom it shares its disk and the CPU.
    disk: Sharer,
    cpu: Sharer,
    appetite: Appetite,
    /// The queue that is looked at first: they take turns.
    first: usize,
    polling: Polling,
    /// The run loop's turn that was served last, and what it left of its share, in bytes.
    share: (u64, u64),
    /// When a request was taken from a ring; when there was none yet, when they were mapped.
    taken: Instant,
    /// There was work since the last event.
    worked: bool,
    /// While it lasts, events without work are not listened to.
    quiet: Option<Sleep>,
}

impl<H: Hypervisor> Link<H> {
    /// Maps the rings that the frontend published and binds their ports.
    pub(crate) fn connect(
        (pv, copies): (&Pv<H>, &Copies<H>),
        (peer, name): (DomId, &str),
        medium: &Rc<Medium>,
        terms: Terms,
        wanted: &Wanted,
        statistics: &Rc<RefCell<Statistics>>,
        (disk, cpu): (&Rc<Sharers>, &Rc<Sharers>),
    ) -> Result<Self, Failure> {
        let mut queues = Vec::with_capacity(wanted.queues.len());
        let mut capacity = 0;
        let persistent = wanted
            .persistent
            .then(|| Rc::new(PersistentGrants::new(pv.hv.clone(), peer, MAX_PERSISTENT)));
        let pages_of = Rc::new(Peer {
            domain: peer,
            copies: copies.clone(),
            persistent,
        });
        for keys in &wanted.queues {
            let mapped = pv.hv.grant_map(peer, &keys.references, Access::ReadWrite);
            let pages = mapped.into_iter().collect::<Result<Vec<_>, _>>();
            let pages = Pages::new(pages.map_err(Failure::Ring)?);
            let ring = BackRing::attach(pages, wanted.layout.request_size());
            let ring = ring.map_err(Failure::Misbehaviour)?;
            let channel = pv.events.bind_interdomain(peer, keys.port, name);
            let channel = channel.map_err(Failure::Port)?;
            let list = IoPage::new(pv.hv.alloc_page().ok_or(Failure::Memory)?);
            capacity += ring.capacity() as usize;
            let ledger = Ledger::new(ring, channel, wanted.layout);
            queues.push(Queue::new(ledger, &pages_of, list));
        }
        Ok(Self {
            pv: pv.clone(),
            medium: medium.clone(),
            completions: Completions::with_capacity(capacity),
            queues,
            terms,
            statistics: statistics.clone(),
            window: WINDOW,
            in_flight: 0,
            disk: Sharer::join(disk),
            cpu: Sharer::join(cpu),
            appetite: Appetite::default(),
            first: 0,
            polling: Polling::default(),
            share: (0, QUANTUM),
            taken: pv.exec.now(),
            worked: false,
            quiet: None,
        })
    }

    /// Requests taken from the rings and not answered.
    pub(crate) fn outstanding(&self) -> usize {
        self.queues.iter().map(Queue::outstanding).sum()
    }

    /// Whether nothing was asked for in the last second, and nothing is to be answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding() == 0 && self.pv.exec.now().since(self.taken) >= IDLE
    }

    /// Whether the frontend has closed the ports of all its rings: it is done with them, whatever
    /// it says. Costs a hypercall.
    pub(crate) fn is_let_go(&self) -> bool {
        let mut queues = self.queues.iter();
        queues.all(|queue| !queue.channel().is_connected())
    }

    /// Serves the rings. Ready only when the frontend broke the protocol.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<PeerFault> {
        // What completes meanwhile is seen without being woken for it.
        self.completions.clear_waker();
        match self.serve(context) {
            Ok(()) => {
                self.completions.set_waker(context.waker());
                Poll::Pending
            }
            Err(fault) => Poll::Ready(fault),
        }
    }

    /// What answers when the domain dies, whoever has this connection in hand then.
    pub(crate) fn ledgers(&self) -> Vec<Weak<Ledger<H>>> {
        self.queues.iter().map(Queue::ledger).collect()
    }

    /// Ends the connection: answers every request with an error, and hands over what the frontend
    /// may still be looking at.
    pub(crate) fn retire(&mut self) -> Vec<Queue<H>> {
        self.queues.iter_mut().for_each(Queue::retire);
        self.publish();
        core::mem::take(&mut self.queues)
    }

    fn serve(&mut self, context: &mut Context<'_>) -> Result<(), PeerFault> {
        self.window = if self.disk.is_beside_modest(self.pv.exec.now()) {
            LITTLE
        } else {
            WINDOW
        };
        // Events first: what they are about is then found by the turn behind them.
        let mut events = self.take_events(context);
        loop {
            let mut share = self.share();
            let worked = self.turn(&mut share)?;
            self.share = (self.pv.exec.turns(), share);
            self.note_appetite(worked)?;
            self.count_events(events, worked);
            if worked != Worked::Nothing {
                self.polling.found();
            }
            // With the window full nothing can be taken: the next completion looks again.
            let full = self.in_flight >= self.window;
            if worked == Worked::More || !full && (self.looks_on() || self.final_check()?) {
                // The others first, and the events that came meanwhile.
                self.pv.exec.wake_next_turn(context.waker());
                return Ok(());
            }
            events = self.take_events(context);
            if events == 0 {
                return Ok(());
            }
        }
    }

    /// What is left of this turn's share: a frontend that asks again, or whose disk completes,
    /// before the run loop has come round has no more for it.
    fn share(&self) -> u64 {
        let (turn, share) = self.share;
        if turn == self.pv.exec.turns() {
            share
        } else if self.cpu.is_beside_modest(self.pv.exec.now()) {
            QUANTUM_BESIDE
        } else {
            QUANTUM
        }
    }

    /// Tells the others if this connection asks for little, and again and again.
    fn note_appetite(&mut self, worked: Worked) -> Result<(), PeerFault> {
        let now = self.pv.exec.now();
        // One that its own window holds back asks for much, however little it has out.
        let is_held_back = self.in_flight >= self.window && self.has_more()?;
        if worked == Worked::More || self.in_flight > LITTLE || is_held_back {
            self.appetite.wants_much(now);
        } else if worked == Worked::Some && self.appetite.is_modest(now) {
            self.disk.is_modest(now, self.in_flight > 0);
            self.cpu.is_modest(now, self.in_flight > 0);
        }
        Ok(())
    }

    /// Takes the events that came, and listens for the next. Returns how many there were.
    #[inline]
    fn take_events(&mut self, context: &mut Context<'_>) -> usize {
        if self.is_quiet(context) {
            return 0;
        }
        let fired = self
            .queues
            .iter()
            .filter(|queue| queue.channel().poll_wait(context).is_ready());
        fired.count()
    }

    /// Whether the frontend's events are not to be listened to for a while.
    fn is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        let until = self
            .queues
            .iter()
            .filter_map(|queue| queue.channel().quiet_until())
            .max();
        let Some(until) = until else {
            self.quiet = None;
            return false;
        };
        let sleep = self
            .quiet
            .get_or_insert_with(|| self.pv.exec.sleep_until(until));
        let over = Pin::new(sleep).poll(context).is_ready();
        if over {
            self.quiet = None;
        }
        !over
    }

    fn count_events(&mut self, events: usize, worked: Worked) {
        let worked_before = core::mem::replace(&mut self.worked, worked != Worked::Nothing);
        if events == 0 {
            self.worked |= worked_before;
            return;
        }
        self.statistics.borrow_mut().events += events as u64;
        // Work that was found before its event was looked at is work all the same.
        let useful = worked != Worked::Nothing || worked_before;
        for queue in &self.queues {
            if useful {
                queue.channel().was_useful();
            } else {
                queue.channel().was_spurious();
            }
        }
    }

    /// Takes what is new, asks GEOM for what waits, and answers what it has completed, until there
    /// is nothing more to do now or the share is used up.
    fn turn(&mut self, share: &mut u64) -> Result<Worked, PeerFault> {
        let mut worked = Worked::Nothing;
        loop {
            let taken = self.take(share)?;
            let asked = self.ask(share);
            // A disk that completes at once has done so.
            let answered = self.answer();
            if !(taken || asked || answered) {
                break;
            }
            worked = Worked::Some;
            if *share == 0 {
                worked = Worked::More;
                break;
            }
            if self.in_flight == 0 && !self.has_more()? {
                break;
            }
        }
        self.publish();
        Ok(worked)
    }

    /// Whether there is a request that waits here or in a ring.
    fn has_more(&mut self) -> Result<bool, PeerFault> {
        for queue in &mut self.queues {
            if queue.has_more()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether to look again instead of sleeping. Nobody waits for events then, so the frontend
    /// need not send any.
    fn looks_on(&mut self) -> bool {
        let looks_on = self.polling.looks_on(self.pv.exec.now());
        let mut statistics = self.statistics.borrow_mut();
        (statistics.poll_hits, statistics.poll_misses) = (self.polling.hits, self.polling.misses);
        looks_on
    }

    /// The last look before sleeping: asks the frontend for events; says whether there is a
    /// request that can be taken now.
    fn final_check(&mut self) -> Result<bool, PeerFault> {
        // With the window full there is none: the next completion looks again.
        if self.in_flight >= self.window {
            return Ok(false);
        }
        let mut any = false;
        for queue in &mut self.queues {
            any |= queue.final_check()?;
        }
        Ok(any)
    }

    fn answer(&mut self) -> bool {
        let mut any = false;
        let now = self.pv.exec.now();
        let mut statistics = self.statistics.borrow_mut();
        while let Some((tag, result)) = self.completions.pop() {
            any = true;
            let Tag { queue, slot, cost } = Tag::unpack(tag);
            self.in_flight -= cost;
            self.appetite.is_answered(now);
            if let Some(queue) = self.queues.get_mut(queue) {
                queue.completed(slot, result, &mut statistics, now);
            }
        }
        any
    }

    /// Asks GEOM for pieces of the requests that wait, queue by queue.
    fn ask(&mut self, share: &mut u64) -> bool {
        let mut any = false;
        let window = self.window;
        let longest = window.min(PIECE);
        for number in self.order() {
            while *share != 0 && self.in_flight < window {
                let Some(queue) = self.queues.get_mut(number) else {
                    break;
                };
                let Some((index, slot)) = queue.asking() else {
                    break;
                };
                let Some(order) = slot.next_order(longest, || self.medium.media_size()) else {
                    queue.asked();
                    continue;
                };
                any = true;
                if slot.is_asked() {
                    queue.asked();
                }
                let cost = order.length.clamp(LEAST, PIECE);
                self.in_flight += cost;
                *share = share.saturating_sub(cost);
                let tag = Tag {
                    queue: number,
                    slot: index,
                    cost,
                };
                self.medium.submit(order, tag.pack(), &self.completions);
            }
        }
        any
    }

    /// Takes requests from the rings, as many as GEOM can be asked for in this turn.
    fn take(&mut self, share: &mut u64) -> Result<bool, PeerFault> {
        let (mut any, mut asked) = (false, false);
        let now = self.pv.exec.now();
        let mut statistics = self.statistics.borrow_mut();
        let mut room = (*share).min(self.window.saturating_sub(self.in_flight));
        for number in self.order() {
            let Some(queue) = self.queues.get_mut(number) else {
                continue;
            };
            if queue.asking().is_some() {
                continue;
            }
            while room != 0 {
                let cost = match queue.take(&self.terms, &mut statistics, now)? {
                    Taken::Nothing => break,
                    Taken::Refused => {
                        *share = share.saturating_sub(LEAST);
                        LEAST
                    }
                    Taken::Begun(length) => {
                        asked = true;
                        length.max(LEAST)
                    }
                };
                any = true;
                room = room.saturating_sub(cost);
            }
        }
        if any {
            self.taken = now;
        }
        if asked {
            self.appetite.asks(now);
        }
        self.first = self.first.wrapping_add(1);
        Ok(any)
    }

    /// The queues' numbers, in this turn's order: they take turns in being first.
    fn order(&self) -> impl Iterator<Item = usize> + use<H> {
        let (first, count) = (self.first, self.queues.len());
        (0..count).map(move |turn| first.wrapping_add(turn) % count)
    }

    fn publish(&mut self) {
        for queue in &mut self.queues {
            if queue.publish() {
                queue.channel().notify();
                self.statistics.borrow_mut().notifications += 1;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Worked {
    Nothing,
    Some,
    /// There is more to do.
    More,
}

/// Orders may still be out when a connection ends: the frontend's pages are not touched any more.
impl<H: Hypervisor> Drop for Link<H> {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.abandon();
        }
    }
}
