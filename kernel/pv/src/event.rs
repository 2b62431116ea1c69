//! Event channels: which ports are pending, and who waits for them.
//!
//! The two-level ABI of event_channel.h: the shared info page holds a pending and a mask bit per
//! port, and a selector word per vCPU that says which words of the pending array to look at. The
//! run loop asks for both; nothing is ever called back.
//!
//! Where the domain has several run loops, each has [`Events`] of its own: those of its ports. All
//! of them are delivered on one vCPU, which [`Events::move_to`] changes. Who turns several there
//! calls [`take_pending`](Events::take_pending) once, and [`deliver`](Events::deliver) of each; who
//! has one, [`dispatch`](Events::dispatch).
//!
//! A port is masked from the moment its event is taken until its owner waits again, so a peer that
//! raises events in a storm costs nothing while nobody serves it (XSA-332, XSA-391).

mod channel;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{Ordering, fence};
use core::task::Waker;
use core::time::Duration;

use exec::Executor;
use hv::{DomId, Errno, Hypervisor, Instant, Port, SharedMem, Virq};
use xen_abi::shared_info::{EVTCHN_MASK, EVTCHN_PENDING, PENDING_SEL, UPCALL_PENDING, vcpu_info};

pub use channel::Channel;

/// Words of the pending and of the mask array.
const WORDS: usize = 64;

/// Ports of the two-level ABI on x86-64: 64 words of 64 bits.
const PORTS: usize = WORDS * 64;
/// How long an event may take to where its port was before. Xen reads where that is, and then
/// marks it as pending and sends it there; it is a moment, but Xen itself may be a guest that does
/// not run just then.
const ON_THEIR_WAY: Duration = Duration::from_millis(100);
/// Events without work that are forgiven before the port's owner has to wait.
const FORGIVEN: u32 = 8;
/// The longest wait that events without work can cause.
const LONGEST_BACKOFF: Duration = Duration::from_millis(16);

/// The event channels of a run loop; clones speak for the same ones.
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
    /// There are no other run loops' beside, or they came later.
    first: bool,
    ports: RefCell<Ports<H>>,
    /// A bit for each of them.
    own: [Cell<u64>; WORDS],
    /// The vCPU that their events come to.
    vcpu: Cell<u32>,
    /// Until then events may come to where a port was before.
    on_their_way: Cell<Option<Instant>>,
    /// They were moved, and not delivered since.
    moved: Cell<bool>,
}

/// How a port is got again in the domain's next life.
type Rebind<H> = Box<dyn Fn(&H) -> Result<Port, Errno>>;

/// Which ports come with a vCPU, and which go where they are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A vCPU's own.
    Fixed,
    Movable,
}

struct State<H> {
    label: String,
    port: Cell<Port>,
    /// It was of a former life of the domain, and is another's now, or nobody's.
    dead: Cell<bool>,
    /// Only for those whose other end is there in each life.
    rebind: Option<Rebind<H>>,
    place: Place,
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
    /// Takes over the domain's ports: masks all of them until somebody waits. To be called once per
    /// domain.
    pub fn new(hv: H, exec: Executor) -> Self {
        let this = Self::with(hv, exec, true);
        mask_all(&this.inner.shared_info);
        this
    }

    /// Those of another run loop of the domain, none yet. Their events come to the first vCPU.
    pub fn beside(hv: H, exec: Executor) -> Self {
        Self::with(hv, exec, false)
    }

    fn with(hv: H, exec: Executor, first: bool) -> Self {
        let inner = Inner {
            shared_info: hv.shared_info(),
            hv,
            exec,
            first,
            ports: RefCell::default(),
            own: [const { Cell::new(0) }; WORDS],
            vcpu: Cell::new(0),
            on_their_way: Cell::default(),
            moved: Cell::default(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Opens a port that only `remote` may bind to.
    ///
    /// # Errors
    /// Xen's: `ENOSPC` when the domain has no port left.
    pub fn alloc_unbound(&self, remote: DomId, label: &str) -> Result<Channel<H>, Errno> {
        let port = self.inner.hv.evtchn_alloc_unbound(remote)?;
        Ok(self.own(port, label, None, Place::Movable))
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
        Ok(self.own(port, label, None, Place::Movable))
    }

    /// Binds a virtual interrupt of vCPU `vcpu`, also in the domain's next life. Its events come
    /// there, wherever the others do.
    ///
    /// # Errors
    /// Xen's: `EEXIST` when it is bound already, `ENOENT` when there is no such vCPU.
    pub fn bind_virq(&self, virq: Virq, vcpu: u32, label: &str) -> Result<Channel<H>, Errno> {
        let bind = move |hv: &H| hv.evtchn_bind_virq(virq, vcpu);
        let port = bind(&self.inner.hv)?;
        Ok(self.own(port, label, Some(Box::new(bind)), Place::Fixed))
    }

    /// Opens a port whose events, which this domain itself [raises](Channel::notify), come to vCPU
    /// `vcpu`, also in the domain's next life.
    ///
    /// # Errors
    /// Xen's: `ENOSPC` when the domain has no port left, `ENOENT` when there is no such vCPU.
    pub fn bind_ipi(&self, vcpu: u32, label: &str) -> Result<Channel<H>, Errno> {
        let bind = move |hv: &H| hv.evtchn_bind_ipi(vcpu);
        let port = bind(&self.inner.hv)?;
        Ok(self.own(port, label, Some(Box::new(bind)), Place::Fixed))
    }

    /// Binds a device's interrupt that this domain was given.
    ///
    /// # Errors
    /// Xen's: `EPERM` when it was not, `EEXIST` when it is bound already.
    pub fn bind_pirq(&self, pirq: u32, shared: bool, label: &str) -> Result<Channel<H>, Errno> {
        let port = self.inner.hv.evtchn_bind_pirq(pirq, shared)?;
        Ok(self.own(port, label, None, Place::Movable))
    }

    /// Takes charge of a port that is open already in each of the domain's lives, as start_info's
    /// are; `port` says which it is.
    #[must_use]
    pub fn adopt(&self, port: impl Fn(&H) -> Port + 'static, label: &str) -> Channel<H> {
        let now = port(&self.inner.hv);
        let again = Box::new(move |hv: &H| Ok(port(hv)));
        self.own(now, label, Some(again), Place::Movable)
    }

    fn own(&self, port: Port, label: &str, rebind: Option<Rebind<H>>, place: Place) -> Channel<H> {
        let state = Rc::new(State {
            label: String::from(label),
            port: Cell::new(port),
            dead: Cell::new(false),
            rebind,
            place,
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
        let port = state.port.get();
        let index = port.0 as usize;
        let mut ports = self.inner.ports.borrow_mut();
        if ports.len() <= index {
            ports.resize_with(index + 1, || None);
        }
        if let Some(slot) = ports.get_mut(index) {
            *slot = Some(state.clone());
        }
        drop(ports);
        self.set_own(index, true);
        let vcpu = self.inner.vcpu.get();
        if vcpu != 0 && state.place == Place::Movable {
            self.place(port, vcpu);
        }
    }

    fn set_own(&self, index: usize, own: bool) {
        if let Some(word) = self.inner.own.get(index / 64) {
            let bit = 1u64 << (index % 64);
            word.set(if own {
                word.get() | bit
            } else {
                word.get() & !bit
            });
        }
    }

    /// Has the events of a port come to a vCPU. Xen refuses only a vCPU or a port that is not
    /// there.
    fn place(&self, port: Port, vcpu: u32) {
        let placed = self.inner.hv.evtchn_bind_vcpu(port, vcpu);
        debug_assert!(
            placed.is_ok(),
            "port {port} cannot come to vCPU {vcpu}: {placed:?}"
        );
        let until = self.inner.hv.now().after(ON_THEIR_WAY);
        self.inner.on_their_way.set(Some(until));
    }

    /// Has all events come to vCPU `vcpu` from now on, but for those that are a vCPU's own. Events
    /// that were on their way are found there: until none can be any more, each delivery is of all
    /// words, and there must be one at [`next_deadline`](Self::next_deadline).
    pub fn move_to(&self, vcpu: u32) {
        self.inner.vcpu.set(vcpu);
        self.inner.moved.set(true);
        let ports = self.inner.ports.borrow();
        let movable = ports.iter().flatten();
        for state in movable.filter(|state| state.place == Place::Movable) {
            self.place(state.port.get(), vcpu);
        }
    }

    /// The domain lives anew ([`Resumed::Anew`](hv::Resumed)): the ports that it has in each life
    /// are got again and count as rung; all others are dead. Returns those that could not be got
    /// again, by their labels. The first run loop does it before the others, which do before they
    /// run again.
    pub fn begin_anew(&self) -> Vec<(String, Errno)> {
        if self.inner.first {
            mask_all(&self.inner.shared_info);
        }
        self.inner.own.iter().for_each(|word| word.set(0));
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

    /// Takes what this vCPU was sent: a bit for each word of ports that may have some pending.
    ///
    /// The order of the steps is event_channel.h's: the vCPU's flag is cleared before the selector
    /// is read, and ([`deliver`](Self::deliver)) a pending bit before its owner looks for work.
    pub fn take_pending(&self) -> u64 {
        let page = &self.inner.shared_info;
        let info = vcpu_info(self.inner.hv.vcpu());
        page.write(info + UPCALL_PENDING, &[0]);
        fence(Ordering::SeqCst);
        page.fetch_and_u64(info + PENDING_SEL, 0)
    }

    /// Takes every pending event on own ports, and wakes their owners. Where there are several run
    /// loops on a vCPU, [`take_pending`](Self::take_pending) of one is for all of them.
    pub fn dispatch(&self) {
        self.deliver(self.take_pending());
    }

    /// Takes the pending events on own ports in these words, and wakes their owners.
    pub fn deliver(&self, mut words: u64) {
        let page = &self.inner.shared_info;
        self.inner.moved.set(false);
        if let Some(until) = self.inner.on_their_way.get() {
            words = u64::MAX;
            if self.inner.hv.now() >= until {
                self.inner.on_their_way.set(None);
            }
        }
        while words != 0 {
            let word = words.trailing_zeros() as usize;
            words &= words - 1;
            let offset = word * 8;
            let own = self.inner.own.get(word).map_or(0, Cell::get);
            let mask = page.load_u64(EVTCHN_MASK + offset);
            let mut bits = page.load_u64(EVTCHN_PENDING + offset) & own & !mask;
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                bits &= !bit;
                page.fetch_or_u64(EVTCHN_MASK + offset, bit);
                page.fetch_and_u64(EVTCHN_PENDING + offset, !bit);
                self.ring(word * 64 + bit.trailing_zeros() as usize);
            }
        }
    }

    /// Whether they were moved and not delivered since: what the vCPU that has them now was sent
    /// may have been taken before it had them.
    #[must_use]
    pub fn are_to_be_delivered(&self) -> bool {
        self.inner.moved.get()
    }

    /// When they are to be delivered again, whatever was sent.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.inner.on_their_way.get()
    }

    fn ring(&self, index: usize) {
        let state = self.inner.ports.borrow().get(index).cloned().flatten();
        if let Some(state) = state {
            state.count.set(state.count.get() + 1);
            state.ring();
        }
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
        self.set_own(index, false);
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
