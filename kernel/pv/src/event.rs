//! Event channels: which ports are pending, and who waits for them.
//!
//! The two-level ABI of event_channel.h: the shared info page holds a pending and a mask bit per
//! port, and a selector word per vCPU that says which words of the pending array to look at. The
//! run loop calls [`Events::dispatch`]; nothing is ever called back.
//!
//! A port is masked from the moment its event is taken until its owner waits again, so a peer that
//! raises events in a storm costs nothing while nobody serves it (XSA-332, XSA-391).

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::sync::atomic::{Ordering, fence};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use exec::Executor;
use hv::{DomId, Errno, Hypervisor, Instant, Port, SharedMem, Virq};
use xen_abi::shared_info::{EVTCHN_MASK, EVTCHN_PENDING, PENDING_SEL, UPCALL_PENDING, VCPU_INFO};

/// Words of the pending and of the mask array.
const WORDS: usize = 64;

/// Ports of the two-level ABI on x86-64: 64 words of 64 bits.
const PORTS: usize = WORDS * 64;
/// Events without work that are forgiven before the port's owner has to wait.
const FORGIVEN: u32 = 8;
/// The longest wait that events without work can cause.
const LONGEST_BACKOFF: Duration = Duration::from_millis(16);

/// The domain's event channels; clones speak for the same ones.
pub struct Events<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

impl<H: Hypervisor> Clone for Events<H> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

/// The owner of each port, by its number.
type Ports<H> = Vec<Option<Rc<State<H>>>>;

struct Inner<H: Hypervisor> {
    hv: H,
    exec: Executor,
    shared_info: H::Mapping,
    ports: RefCell<Ports<H>>,
    strays: Cell<u64>,
}

/// How a port is got again in the domain's next life.
type Rebind<H> = Box<dyn Fn(&H) -> Result<Port, Errno>>;

struct State<H> {
    label: String,
    port: Cell<Port>,
    /// It was of a former life of the domain, and is another's now, or nobody's.
    dead: Cell<bool>,
    /// Only for those whose other end is there in each life.
    rebind: Option<Rebind<H>>,
    fired: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
    count: Cell<u64>,
    spurious: Cell<u64>,
    spurious_in_a_row: Cell<u32>,
    quiet_until: Cell<Instant>,
}

/// A port as the shell shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortUse {
    /// The port.
    pub port: Port,
    /// Whose it is.
    pub label: String,
    /// Events taken.
    pub count: u64,
    /// Events that brought no work.
    pub spurious: u64,
}

impl<H: Hypervisor> Events<H> {
    /// Takes over the domain's ports: masks all of them until somebody waits.
    pub fn new(hv: H, exec: Executor) -> Self {
        let shared_info = hv.shared_info();
        mask_all(&shared_info);
        let ports = RefCell::new(Vec::new());
        Self {
            inner: Rc::new(Inner {
                hv,
                exec,
                shared_info,
                ports,
                strays: Cell::new(0),
            }),
        }
    }

    /// Opens a port that only `remote` may bind to.
    ///
    /// # Errors
    /// Xen's: `ENOSPC` when the domain has no port left.
    pub fn alloc_unbound(&self, remote: DomId, label: &str) -> Result<Channel<H>, Errno> {
        Ok(self.own(self.inner.hv.evtchn_alloc_unbound(remote)?, label, None))
    }

    /// Binds to a port that `remote` opened for this domain.
    ///
    /// # Errors
    /// Xen's: `EINVAL` when `port` is not open for this domain.
    pub fn bind_interdomain(
        &self,
        remote: DomId,
        port: Port,
        label: &str,
    ) -> Result<Channel<H>, Errno> {
        let port = self.inner.hv.evtchn_bind_interdomain(remote, port)?;
        Ok(self.own(port, label, None))
    }

    /// Binds a virtual interrupt, also in the domain's next life.
    ///
    /// # Errors
    /// Xen's: `EEXIST` when it is bound already.
    pub fn bind_virq(&self, virq: Virq, label: &str) -> Result<Channel<H>, Errno> {
        let port = self.inner.hv.evtchn_bind_virq(virq)?;
        let rebind = move |hv: &H| hv.evtchn_bind_virq(virq);
        Ok(self.own(port, label, Some(Box::new(rebind))))
    }

    /// Binds a device's interrupt that this domain was given.
    ///
    /// # Errors
    /// Xen's: `EPERM` when it was not, `EEXIST` when it is bound already.
    pub fn bind_pirq(&self, pirq: u32, shared: bool, label: &str) -> Result<Channel<H>, Errno> {
        Ok(self.own(self.inner.hv.evtchn_bind_pirq(pirq, shared)?, label, None))
    }

    /// Takes charge of a port that is open already in each of the domain's lives, as start_info's
    /// are; `port` says which it is.
    #[must_use]
    pub fn adopt(&self, port: impl Fn(&H) -> Port + 'static, label: &str) -> Channel<H> {
        let now = port(&self.inner.hv);
        self.own(now, label, Some(Box::new(move |hv| Ok(port(hv)))))
    }

    fn own(&self, port: Port, label: &str, rebind: Option<Rebind<H>>) -> Channel<H> {
        let state = Rc::new(State {
            label: String::from(label),
            port: Cell::new(port),
            dead: Cell::new(false),
            rebind,
            fired: Cell::new(false),
            waiter: RefCell::new(None),
            count: Cell::new(0),
            spurious: Cell::new(0),
            spurious_in_a_row: Cell::new(0),
            quiet_until: Cell::default(),
        });
        self.enter(&state);
        Channel {
            events: self.clone(),
            state,
        }
    }

    fn enter(&self, state: &Rc<State<H>>) {
        let index = state.port.get().0 as usize;
        let mut ports = self.inner.ports.borrow_mut();
        if ports.len() <= index {
            ports.resize_with(index + 1, || None);
        }
        if let Some(slot) = ports.get_mut(index) {
            *slot = Some(state.clone());
        }
    }

    /// The domain lives anew ([`Resumed::Anew`](hv::Resumed)): the ports that it has in each life
    /// are got again and count as rung; all others are dead. Returns those that could not be got
    /// again, by their labels.
    pub fn begin_anew(&self) -> Vec<(String, Errno)> {
        mask_all(&self.inner.shared_info);
        let former = self.inner.ports.take();
        let mut failed = Vec::new();
        for state in former.into_iter().flatten() {
            let again = state.rebind.as_ref().map(|rebind| rebind(&self.inner.hv));
            state.dead.set(!matches!(again, Some(Ok(_))));
            match again {
                Some(Ok(port)) => {
                    state.port.set(port);
                    self.enter(&state);
                    state.ring();
                }
                Some(Err(errno)) => failed.push((state.label.clone(), errno)),
                None => {}
            }
        }
        failed
    }

    /// Takes every pending event and wakes its port's owner. Returns whether there was any.
    ///
    /// The order of the steps is event_channel.h's: the vCPU's flag is cleared before the selector
    /// is read, and a pending bit before its owner looks for work.
    pub fn dispatch(&self) -> bool {
        let page = &self.inner.shared_info;
        page.write(VCPU_INFO + UPCALL_PENDING, &[0]);
        fence(Ordering::SeqCst);
        let mut words = page.fetch_and_u64(VCPU_INFO + PENDING_SEL, 0);
        let any = words != 0;
        while words != 0 {
            let word = words.trailing_zeros() as usize;
            words &= words - 1;
            let offset = word * 8;
            let mask = page.load_u64(EVTCHN_MASK + offset);
            let mut bits = page.load_u64(EVTCHN_PENDING + offset) & !mask;
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                bits &= !bit;
                page.fetch_or_u64(EVTCHN_MASK + offset, bit);
                page.fetch_and_u64(EVTCHN_PENDING + offset, !bit);
                self.deliver(word * 64 + bit.trailing_zeros() as usize);
            }
        }
        any
    }

    fn deliver(&self, index: usize) {
        let state = self.inner.ports.borrow().get(index).cloned().flatten();
        let Some(state) = state else {
            self.inner.strays.set(self.inner.strays.get() + 1);
            return;
        };
        state.count.set(state.count.get() + 1);
        state.ring();
    }

    /// The open ports, in the order of their numbers.
    #[must_use]
    pub fn ports(&self) -> Vec<PortUse> {
        let ports = self.inner.ports.borrow();
        let live = ports.iter().enumerate().filter_map(|(index, state)| {
            let state = state.as_ref()?;
            Some(PortUse {
                port: Port(u32::try_from(index).ok()?),
                label: state.label.clone(),
                count: state.count.get(),
                spurious: state.spurious.get(),
            })
        });
        live.collect()
    }

    /// Events taken on ports that nobody owns.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.inner.strays.get()
    }

    /// Unmasks `index`; true if an event came while it was masked, which is taken at once. Xen need
    /// not be asked for it (`EVTCHNOP_unmask`): the pending bit says all, and one that is set after
    /// this look makes an upcall pending.
    fn unmask_and_take(&self, index: usize) -> bool {
        let page = &self.inner.shared_info;
        let (offset, bit) = (index / 64 * 8, 1u64 << (index % 64));
        page.fetch_and_u64(EVTCHN_MASK + offset, !bit);
        if page.load_u64(EVTCHN_PENDING + offset) & bit == 0 {
            return false;
        }
        page.fetch_or_u64(EVTCHN_MASK + offset, bit);
        page.fetch_and_u64(EVTCHN_PENDING + offset, !bit) & bit != 0
    }

    fn close(&self, state: &State<H>) {
        if state.dead.get() {
            return;
        }
        let port = state.port.get();
        let index = port.0 as usize;
        if index < PORTS {
            let (offset, bit) = (index / 64 * 8, 1u64 << (index % 64));
            self.inner
                .shared_info
                .fetch_or_u64(EVTCHN_MASK + offset, bit);
        }
        if let Some(slot) = self.inner.ports.borrow_mut().get_mut(index) {
            *slot = None;
        }
        // Xen refuses only a port that is not open, and then there is nothing left to close.
        let _already_closed = self.inner.hv.evtchn_close(port);
    }
}

impl<H> State<H> {
    /// Has its owner look.
    fn ring(&self) {
        self.fired.set(true);
        let waiter = self.waiter.borrow_mut().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

fn mask_all(shared_info: &impl SharedMem) {
    for word in 0..WORDS {
        shared_info.store_u64(EVTCHN_MASK + word * 8, u64::MAX);
    }
}

/// An open port. Dropping it closes the port.
///
/// In the domain's next life it is dead, unless its other end is there in each: then nothing is
/// raised at the other end, and nothing comes of waiting.
///
/// It is for one waiting task: of two that wait at once, only the later one is woken.
pub struct Channel<H: Hypervisor> {
    events: Events<H>,
    state: Rc<State<H>>,
}

impl<H: Hypervisor> Channel<H> {
    /// The port's number, as a frontend publishes it.
    #[must_use]
    pub fn port(&self) -> Port {
        self.state.port.get()
    }

    /// Raises an event at the other end. An error means that the other end is gone; a peer's death
    /// is learned from xenstore, so it is not reported here.
    pub fn notify(&self) {
        if !self.state.dead.get() {
            let _peer_gone = self.events.inner.hv.evtchn_send(self.port());
        }
    }

    /// Whether the other end is there and open. Xen tells nobody when that changes.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.state.dead.get()
            && self.events.inner.hv.evtchn_is_interdomain(self.port()) == Ok(true)
    }

    /// Waits for an event that came since the last wait ended. Events may be lost neither before
    /// nor during a wait; several of them may count as one, and one may come without a cause.
    pub async fn wait(&self) {
        if let Some(quiet_until) = self.quiet_until() {
            self.events.inner.exec.sleep_until(quiet_until).await;
        }
        poll_fn(|context| self.poll_wait(context)).await;
    }

    /// Until when events are not to be looked at, because too many [brought no
    /// work](Self::was_spurious); `None` if they are.
    #[must_use]
    pub fn quiet_until(&self) -> Option<Instant> {
        let quiet_until = self.state.quiet_until.get();
        (quiet_until > self.events.inner.exec.now()).then_some(quiet_until)
    }

    /// [`wait`](Self::wait) for a future written by hand, which has looked at
    /// [`quiet_until`](Self::quiet_until).
    pub fn poll_wait(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.state.fired.replace(false) {
            return Poll::Ready(());
        }
        *self.state.waiter.borrow_mut() = Some(context.waker().clone());
        if self.state.dead.get() {
            return Poll::Pending;
        }
        if self.events.unmask_and_take(self.port().0 as usize) {
            self.state.count.set(self.state.count.get() + 1);
            self.state.waiter.borrow_mut().take();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Says that the last event brought no work. A peer that goes on like this has to wait longer
    /// and longer, up to 16 ms, before its next event is looked at.
    pub fn was_spurious(&self) {
        let state = &self.state;
        state.spurious.set(state.spurious.get() + 1);
        let row = state.spurious_in_a_row.get().saturating_add(1);
        state.spurious_in_a_row.set(row);
        if let Some(excess) = row.checked_sub(FORGIVEN) {
            let wait = Duration::from_micros(100 << excess.min(8)).min(LONGEST_BACKOFF);
            state
                .quiet_until
                .set(self.events.inner.exec.now().after(wait));
        }
    }

    /// Says that the last event brought work.
    pub fn was_useful(&self) {
        self.state.spurious_in_a_row.set(0);
    }
}

impl<H: Hypervisor> Drop for Channel<H> {
    fn drop(&mut self) {
        self.events.close(&self.state);
    }
}
