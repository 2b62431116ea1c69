//! Controllers that are functions of PCI devices.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::future::pending;

use exec::{Level, error};
use hv::Hypervisor;
use pcifront::{Failure, Function, FunctionDriver, Id, Interrupt, Running, Way};

use crate::driver::Nvme;
use crate::slot::{Doing, NotDone, Slot};

/// Mass storage, non-volatile memory, NVM Express.
const CLASS: u32 = 0x01_08_02;
/// The base address register of the registers.
const REGISTERS: u8 = 0;

/// A function, and its interrupt.
struct Seat<H: Hypervisor> {
    function: Function<H>,
    interrupt: Option<Interrupt<H>>,
}

impl<H: Hypervisor> FunctionDriver<H> for Nvme<H> {
    fn name(&self) -> &'static str {
        "nvme"
    }

    fn takes(&self, id: &Id) -> bool {
        id.class == CLASS
    }

    fn start(&self, function: Function<H>) -> Running {
        let (this, start) = (self.clone(), self.starting());
        Box::pin(async move {
            let log = this.log().clone();
            let address = function.address().to_string();
            let opened = open(&function).await;
            let registers = match opened {
                Ok(registers) => registers,
                Err(failure) => return error!(log, &address, "its registers: {failure}"),
            };
            let interrupt = match function.interrupts(1).await {
                Ok(interrupts) => interrupts.into_iter().next(),
                Err(failure) => {
                    let text = format_args!("no interrupt: {failure}");
                    log.limited(Level::Warn, &address, text);
                    None
                }
            };
            let seat = Seat {
                function,
                interrupt,
            };
            this.drive_from(start, Rc::new(seat), registers).await;
        })
    }
}

/// Turns the function on and maps its registers.
async fn open<H: Hypervisor>(function: &Function<H>) -> Result<H::Mapping, Failure> {
    function.enable().await?;
    let bar = function.bar(REGISTERS).await?;
    function.map(&bar)
}

impl<H: Hypervisor> Slot for Seat<H> {
    fn address(&self) -> String {
        self.function.address().to_string()
    }

    fn set_master(&self, on: bool) -> Doing<'_, Result<(), NotDone>> {
        Box::pin(async move {
            let done = if on {
                self.function.let_use_memory().await
            } else {
                self.function.keep_from_memory().await
            };
            done.map_err(|failure| {
                if failure.is_unreachable() {
                    NotDone::Unreachable
                } else {
                    NotDone::Refused
                }
            })
        })
    }

    fn interrupts(&self) -> bool {
        self.interrupt.is_some()
    }

    fn interrupt(&self) -> Doing<'_, ()> {
        Box::pin(async {
            match &self.interrupt {
                Some(interrupt) => interrupt.wait().await,
                None => pending().await,
            }
        })
    }

    fn interrupt_done(&self, useful: bool) {
        match &self.interrupt {
            // Others hold the line as they like, and this device is not to wait for that.
            Some(interrupt) if useful || interrupt.way() == Way::Intx => interrupt.done(),
            Some(interrupt) => interrupt.not_ours(),
            None => {}
        }
    }

    fn gone(&self) -> Doing<'_, ()> {
        Box::pin(self.function.gone())
    }
}
