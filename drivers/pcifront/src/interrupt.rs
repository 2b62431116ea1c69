//! One of a function's interrupts.

use core::fmt;

use hv::{Errno, Hypervisor};
use pv::{Channel, Pv};

/// How a function raises its interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By messages, one vector for each interrupt.
    Msix,
    /// By messages, with one vector.
    Msi,
    /// By a line, which other devices may hold as well.
    Intx,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Msix => "MSI-X",
            Self::Msi => "MSI",
            Self::Intx => "INTx",
        })
    }
}

/// An interrupt. Dropping it closes its port.
///
/// After each wait that ended the driver looks what there is to do, and then says
/// [`done`](Self::done) or [`not_ours`](Self::not_ours): a line does not come again before. It is
/// for one waiting task, which also waits for [`Function::gone`](crate::Function::gone).
pub struct Interrupt<H: Hypervisor> {
    pv: Pv<H>,
    channel: Channel<H>,
    pirq: u32,
    needs_eoi: bool,
    way: Way,
}

impl<H: Hypervisor> Interrupt<H> {
    /// Binds `pirq`.
    pub(crate) fn bind(pv: &Pv<H>, pirq: u32, way: Way, label: &str) -> Result<Self, Errno> {
        let channel = pv.events.bind_pirq(pirq, way == Way::Intx, label)?;
        let this = Self {
            channel,
            pirq,
            needs_eoi: pv.hv.pirq_needs_eoi(pirq)?,
            way,
            pv: pv.clone(),
        };
        // One that was raised before nobody has served.
        this.end();
        Ok(this)
    }

    /// How it is raised.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Xen's number of it.
    #[must_use]
    pub fn pirq(&self) -> u32 {
        self.pirq
    }

    /// Waits until it was raised since the last wait ended. It may come without a cause.
    pub async fn wait(&self) {
        self.channel.wait().await;
    }

    /// What it was raised for is done.
    pub fn done(&self) {
        self.channel.was_useful();
        self.end();
    }

    /// There was nothing to do. One that goes on like this is looked at more and more rarely, up to
    /// 16 ms apart.
    pub fn not_ours(&self) {
        self.channel.was_spurious();
        self.end();
    }

    fn end(&self) {
        if self.needs_eoi {
            // Xen refuses only what is not this domain's any more.
            let _gone = self.pv.hv.pirq_eoi(self.pirq);
        }
    }
}
