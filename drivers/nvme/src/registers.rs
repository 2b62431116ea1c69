//! A controller's registers (NVM Express 1.4, 3.1).

use hv::{Hypervisor, SharedMem};

use crate::capabilities::{Capabilities, Unfit};
use crate::fault::Fault;

const CAP: usize = 0x00;
const CC: usize = 0x14;
const CSTS: usize = 0x1c;
const AQA: usize = 0x24;
const ASQ: usize = 0x28;
const ACQ: usize = 0x30;
/// The first doorbell.
const DOORBELLS: usize = 0x1000;
/// The highest queue that is used.
const LAST_QUEUE: usize = 1;

/// CC: enabled, pages of 4 KiB, the NVM command set, entries of 64 and 16 bytes.
const ENABLE: u32 = 1 | 6 << 16 | 4 << 20;
/// CC.SHN: a normal shutdown.
const SHUT_DOWN: u32 = 1 << 14;

/// The CSTS register's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControllerStatus(u32);

impl ControllerStatus {
    /// All ones: nobody answers at that address.
    pub(crate) fn is_absent(self) -> bool {
        self.0 == u32::MAX
    }

    pub(crate) fn is_ready(self) -> bool {
        self.0 & 1 != 0
    }

    pub(crate) fn is_fatal(self) -> bool {
        self.0 & 2 != 0
    }

    pub(crate) fn is_shut_down(self) -> bool {
        self.0 >> 2 & 3 == 2
    }
}

/// Which end of a queue a doorbell is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doorbell {
    /// Commands were written up to here.
    Submission = 0,
    /// Completions were read up to here.
    Completion = 1,
}

/// The registers, mapped.
pub(crate) struct Registers<H: Hypervisor> {
    memory: H::Mapping,
    stride: usize,
}

impl<H: Hypervisor> Registers<H> {
    /// Those in `memory`, and what the controller can do.
    pub(crate) fn new(memory: H::Mapping) -> Result<(Self, Capabilities), Fault> {
        let length = memory.len();
        if length < DOORBELLS {
            return Err(Fault::Unfit(Unfit::Registers(length)));
        }
        let cap = memory.load_u64(CAP);
        if cap == u64::MAX {
            return Err(Fault::Removed);
        }
        let capabilities = Capabilities::parse(cap).map_err(Fault::Unfit)?;
        let stride = capabilities.stride;
        if length < DOORBELLS + 2 * (LAST_QUEUE + 1) * stride {
            return Err(Fault::Unfit(Unfit::Registers(length)));
        }
        Ok((Self { memory, stride }, capabilities))
    }

    pub(crate) fn status(&self) -> ControllerStatus {
        ControllerStatus(self.memory.load_u32(CSTS))
    }

    /// Says where the admin queue is, and enables the controller.
    pub(crate) fn enable(&self, entries: u16, (submission, completion): (u64, u64)) {
        let size = u32::from(entries.saturating_sub(1));
        self.memory.store_u32(AQA, size | size << 16);
        self.memory.store_u64(ASQ, submission);
        self.memory.store_u64(ACQ, completion);
        self.memory.store_u32(CC, ENABLE);
    }

    pub(crate) fn disable(&self) {
        self.memory.store_u32(CC, ENABLE & !1);
    }

    /// Tells the controller that it may lose power.
    pub(crate) fn shut_down(&self) {
        self.memory.store_u32(CC, ENABLE | SHUT_DOWN);
    }

    /// Rings a doorbell of queue `queue`, 0 or 1.
    pub(crate) fn ring(&self, queue: u16, which: Doorbell, value: u16) {
        let index = 2 * usize::from(queue).min(LAST_QUEUE) + which as usize;
        let at = DOORBELLS + index * self.stride;
        self.memory.store_u32(at, value.into());
    }
}
