//! Hypercalls that fail by plan.

use std::cell::Cell;

use hv::{DomId, Errno};

/// A call that may be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `alloc_page`: there is no page left.
    AllocPage,
    /// `evtchn_alloc_unbound`.
    AllocUnbound,
    /// `evtchn_bind_interdomain`.
    BindInterdomain,
    /// `evtchn_bind_virq`.
    BindVirq,
    /// `evtchn_bind_pirq`.
    BindPirq,
    /// `vcpu_prepare`.
    VcpuPrepare,
    /// `map_device`.
    MapDevice,
    /// `evtchn_send`.
    Send,
    /// `grant_limits`.
    GrantLimits,
    /// `next_grant_table_page`.
    NextGrantTablePage,
    /// One element of `grant_map`; it fails with `GNTST_general_error`.
    GrantMap,
    /// One element of `grant_copy`; it fails with `GNTST_general_error`.
    GrantCopy,
    /// One page of `give_pages`: it and those behind it stay. The call fails if it is the first.
    GivePages,
    /// One page of `get_pages`, likewise.
    GetPages,
    /// `watchdog`.
    Watchdog,
    /// `suspend`.
    Suspend,
}

/// Which of the calls fail, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Just the given one.
    Nth(u64),
    /// The given one and all after it.
    From(u64),
    /// Each one whose number is a multiple of the given one.
    Every(u64),
    /// A random one in so many.
    OneIn(u64),
}

/// One line of a fault plan.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Whose calls fail.
    pub dom: DomId,
    /// Which call fails.
    pub call: Call,
    /// Which of them fail.
    pub when: When,
    /// What they return.
    pub error: Errno,
    pub(crate) seen: Cell<u64>,
}

impl Fault {
    /// A fault whose calls are counted from now on.
    #[must_use]
    pub fn new(dom: DomId, call: Call, when: When, error: Errno) -> Self {
        Self {
            dom,
            call,
            when,
            error,
            seen: Cell::new(0),
        }
    }
}

impl crate::Xen {
    /// Adds a line to the fault plan.
    pub fn plan_fault(&self, fault: Fault) {
        self.state().faults.borrow_mut().push(fault);
    }

    /// Strikes out every line of the plan: from now on nothing fails by itself.
    pub fn clear_faults(&self) {
        self.state().faults.borrow_mut().clear();
    }

    /// The error this call must return, if the plan has one for it.
    pub(crate) fn fault(&self, dom: DomId, call: Call) -> Option<Errno> {
        let mut error = None;
        for fault in self.state().faults.borrow().iter() {
            if fault.dom != dom || fault.call != call {
                continue;
            }
            let number = fault.seen.get() + 1;
            fault.seen.set(number);
            let strikes = match fault.when {
                When::Nth(n) => number == n,
                When::From(n) => number >= n,
                When::Every(n) => n != 0 && number.is_multiple_of(n),
                When::OneIn(n) => self.rng().one_in(n),
            };
            if strikes {
                error = Some(fault.error);
            }
        }
        error
    }
}
