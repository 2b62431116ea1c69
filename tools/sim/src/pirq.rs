//! Interrupts of devices: a message that is sent once, or a line that is held.

use hv::{DomId, Errno};

use crate::Xen;

/// How a device raises an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By a message (MSI): each one is an event.
    Message,
    /// By a line: an event, and another one after each end of interrupt that finds it still held.
    Line,
}

/// An interrupt that a domain was given.
pub(crate) struct Pirq {
    trigger: Trigger,
    /// The line is held.
    held: bool,
    /// Xen has told the domain and waits for its end of interrupt.
    in_service: bool,
}

impl Xen {
    /// Gives a domain an interrupt, as the toolstack and the device's backend do.
    pub fn give_pirq(&self, dom: DomId, pirq: u32, trigger: Trigger) {
        let new = Pirq {
            trigger,
            held: false,
            in_service: false,
        };
        self.with(dom, |domain| domain.pirqs.insert(pirq, new));
    }

    /// Takes it away again. A port that is bound to it stays, and is silent.
    pub fn take_pirq(&self, dom: DomId, pirq: u32) {
        self.with(dom, |domain| domain.pirqs.remove(&pirq));
    }

    /// A device sends a message.
    pub fn send_message(&self, dom: DomId, pirq: u32) {
        let given = self.with(dom, |domain| domain.pirqs.contains_key(&pirq));
        if let (true, Some(port)) = (given, self.pirq_port(dom, pirq)) {
            self.raise(dom, port);
        }
    }

    /// A device holds its line, or lets go of it.
    pub fn hold_line(&self, dom: DomId, pirq: u32, held: bool) {
        self.with(dom, |domain| {
            if let Some(pirq) = domain.pirqs.get_mut(&pirq) {
                pirq.held = held;
            }
        });
        self.serve_line(dom, pirq);
    }

    /// Tells the domain of a line that is held, if it can be told.
    fn serve_line(&self, dom: DomId, pirq: u32) {
        let Some(port) = self.pirq_port(dom, pirq) else {
            return;
        };
        let tell = self.with(dom, |domain| {
            let pirq = domain.pirqs.get_mut(&pirq)?;
            let tell = pirq.held && !pirq.in_service;
            pirq.in_service |= tell;
            Some(tell)
        });
        if tell == Some(true) {
            self.raise(dom, port);
        }
    }

    pub(crate) fn may_bind_pirq(&self, dom: DomId, pirq: u32, shared: bool) -> Result<(), Errno> {
        let trigger = self.with(dom, |domain| {
            domain.pirqs.get(&pirq).map(|pirq| pirq.trigger)
        });
        match trigger {
            None => Err(Errno::EPERM),
            // A line has other users: Xen refuses one who would not share it.
            Some(Trigger::Line) if !shared => Err(Errno::EBUSY),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn pirq_was_bound(&self, dom: DomId, pirq: u32) {
        self.with(dom, |domain| {
            if let Some(pirq) = domain.pirqs.get_mut(&pirq) {
                pirq.in_service = false;
            }
        });
        self.serve_line(dom, pirq);
    }

    /// `PHYSDEVOP_irq_status_query`.
    ///
    /// # Errors
    /// `EINVAL` when the domain was not given the interrupt.
    pub fn pirq_needs_eoi(&self, dom: DomId, pirq: u32) -> Result<bool, Errno> {
        self.with(dom, |domain| match domain.pirqs.get(&pirq) {
            Some(pirq) => Ok(pirq.trigger == Trigger::Line),
            None => Err(Errno::EINVAL),
        })
    }

    /// `PHYSDEVOP_eoi`.
    ///
    /// # Errors
    /// `EINVAL` when the domain was not given the interrupt.
    pub fn pirq_eoi(&self, dom: DomId, pirq: u32) -> Result<(), Errno> {
        self.with(dom, |domain| {
            let pirq = domain.pirqs.get_mut(&pirq).ok_or(Errno::EINVAL)?;
            pirq.in_service = false;
            Ok(())
        })?;
        self.serve_line(dom, pirq);
        Ok(())
    }
}
