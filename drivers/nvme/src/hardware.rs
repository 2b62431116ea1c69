//! A controller's registers and queues: all that is looked at when it may have done something.

use geom::Errno;
use hv::{Hypervisor, Instant};
use pv::Pv;

use crate::admin::Admin;
use crate::capabilities::Capabilities;
use crate::door::Door;
use crate::fault::{Fault, Misbehaviour};
use crate::io::Io;
use crate::queue::Queue;
use crate::registers::Registers;

/// Registers and queues.
pub(crate) struct Hardware<H: Hypervisor> {
    pub(crate) registers: Registers<H>,
    pub(crate) admin: Admin<H>,
    pub(crate) io: Io<H>,
}

impl<H: Hypervisor> Hardware<H> {
    /// Takes the memory for queues that the controller can have.
    pub(crate) fn new(
        pv: &Pv<H>,
        name: &str,
        registers: Registers<H>,
        capabilities: &Capabilities,
    ) -> Result<Self, Fault> {
        let queue = |id| Queue::new(&pv.hv, id, capabilities.entries).ok_or(Fault::Memory);
        Ok(Self {
            registers,
            admin: Admin::new(queue(0)?),
            io: Io::new(pv, name, queue(1)?).ok_or(Fault::Memory)?,
        })
    }

    /// Takes the completions there are and sends what waits. Returns how many there were.
    pub(crate) fn turn(&mut self, door: &Door, now: Instant) -> Result<usize, Misbehaviour> {
        let commands = self.admin.finish(&self.registers)?;
        let mut waiting = door.waiting().borrow_mut();
        let requests = self.io.finish(&self.registers, &mut waiting)?;
        self.io.start(&self.registers, &mut waiting, now);
        Ok(commands + requests)
    }

    /// Whether the controller is present and has not failed.
    pub(crate) fn health(&self) -> Result<(), Fault> {
        let status = self.registers.status();
        match status {
            _ if status.is_absent() => Err(Fault::Removed),
            _ if status.is_fatal() => Err(Fault::Fatal),
            _ => Ok(()),
        }
    }

    /// Makes the queues empty, after the controller has been stopped. What it had is asked for once
    /// more.
    pub(crate) fn restart(&mut self, door: &Door) {
        self.admin.restart();
        self.io.restart(&mut door.waiting().borrow_mut());
    }

    /// Fails every request. Allocates nothing.
    pub(crate) fn abandon(&mut self) {
        self.io.abandon(Errno::NoDevice);
    }
}
