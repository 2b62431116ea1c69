//! A controller's slot without a PCI bus: the driver's own interface, over the simulated Xen.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use exec::Notify;
use hv::Hypervisor;
use nvme::slot::{Doing, NotDone, Slot};
use nvme::{Nvme, Standing};
use pv::Channel;

use super::NvmeDevice;
use crate::pirq::Trigger;
use crate::{Dom, Guest, World};

/// What the driver has of a controller.
pub struct Plug {
    dom: Dom,
    device: NvmeDevice,
    channel: Option<Channel<Dom>>,
    trigger: Trigger,
    removal: Notify,
    refuses: Cell<Option<NotDone>>,
    useless: Cell<u64>,
    ended: Cell<bool>,
    driver: RefCell<Option<Nvme<Dom>>>,
}

impl Plug {
    /// Lets the guest's driver drive a controller that was given to it.
    #[must_use]
    pub fn connect(
        world: &World,
        guest: &Guest,
        driver: &Nvme<Dom>,
        device: &NvmeDevice,
    ) -> Rc<Self> {
        Self::with(world, guest, driver, device, true)
    }

    /// As [`connect`](Self::connect); with `interrupt` it can raise one.
    #[must_use]
    pub fn with(
        world: &World,
        guest: &Guest,
        driver: &Nvme<Dom>,
        device: &NvmeDevice,
        interrupt: bool,
    ) -> Rc<Self> {
        let (address, pirq) = device.place();
        let dom = guest.dom.clone();
        let needs_eoi = dom.pirq_needs_eoi(pirq) == Ok(true);
        let trigger = if needs_eoi {
            Trigger::Line
        } else {
            Trigger::Message
        };
        let channel = guest.pv.events.bind_pirq(pirq, needs_eoi, "nvme");
        let plug = Rc::new(Self {
            channel: channel.ok().filter(|_| interrupt),
            dom,
            device: device.clone(),
            trigger,
            removal: Notify::new(),
            refuses: Cell::new(None),
            useless: Cell::new(0),
            ended: Cell::new(false),
            driver: RefCell::new(Some(driver.clone())),
        });
        let (driver, slot) = (driver.clone(), plug.clone());
        let registers = guest
            .dom
            .map_device(address, 4)
            .expect("it is the domain's");
        let _runs_on = guest.spawn(world, async move {
            driver.drive(slot.clone(), registers).await;
            slot.ended.set(true);
        });
        plug
    }

    /// The device is to be given back.
    pub fn remove(&self) {
        self.removal.notify();
    }

    /// The bus does not change whether the device may use memory from now on.
    pub fn refuse(&self, why: NotDone) {
        self.refuses.set(Some(why));
    }

    /// How many interrupts the driver found nothing for.
    #[must_use]
    pub fn useless(&self) -> u64 {
        self.useless.get()
    }

    /// Whether the driver has let go of it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// How the controller stands; `None` if it does not.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.driver
            .borrow()
            .as_ref()?
            .controllers()
            .into_iter()
            .next()
    }
}

impl Slot for Plug {
    fn address(&self) -> String {
        "0000:00:00.0".into()
    }

    fn set_master(&self, on: bool) -> Doing<'_, Result<(), NotDone>> {
        Box::pin(async move {
            if let Some(why) = self.refuses.get() {
                return Err(why);
            }
            self.device.set_master(on);
            Ok(())
        })
    }

    fn interrupts(&self) -> bool {
        self.channel.is_some()
    }

    fn interrupt(&self) -> Doing<'_, ()> {
        Box::pin(async {
            match &self.channel {
                Some(channel) => channel.wait().await,
                None => std::future::pending().await,
            }
        })
    }

    fn interrupt_done(&self, useful: bool) {
        if !useful {
            self.useless.set(self.useless.get() + 1);
        }
        if self.trigger == Trigger::Line {
            let (_, pirq) = self.device.place();
            self.dom.pirq_eoi(pirq).expect("it is the domain's");
        }
    }

    fn gone(&self) -> Doing<'_, ()> {
        Box::pin(self.removal.notified())
    }
}
