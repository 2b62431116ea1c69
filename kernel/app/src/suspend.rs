//! The domain is suspended, so that the toolstack can save it, and goes on in its next life.
//!
//! Everything that has something under way with another domain holds still before: disks first,
//! then xenstore. What cannot be given up, a client of an export, is a reason to refuse. A domain
//! that refuses goes on, and its toolstack gives up after a minute.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use control::Control;
use exec::{info, warn};
use frontend::Bus;
use hv::{Errno, Hypervisor, Resumed};
use pcifront::Pcifront;
use pv::Pv;
use xenbus::Store;

use crate::devices::Devices;
use crate::run_loop::RunLoop;
use crate::vcpus::shards::Shards;

const PART: &str = "suspend";
/// How long devices, and then xenstore, may take to hold still. The toolstack gives the domain 60
/// seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// What holds still while the domain is suspended.
struct Suspension<H: Hypervisor> {
    pv: Pv<H>,
    store: Store,
    control: Control,
    buses: Vec<Bus>,
    pcifront: Pcifront<H>,
    run_loop: Rc<RunLoop<H>>,
    shards: Shards<H>,
    obstacle: Box<dyn Fn() -> Option<String>>,
}

/// Has the domain suspended whenever the administrator wants it, unless a PCI device is passed
/// through, which cannot be taken along, or `obstacle` has a reason.
pub(crate) fn spawn<H: Hypervisor>(
    pv: &Pv<H>,
    devices: &Devices<H>,
    control: &Control,
    run_loop: &Rc<RunLoop<H>>,
    shards: &Shards<H>,
    obstacle: impl Fn() -> Option<String> + 'static,
) {
    let suspension = Suspension {
        pv: pv.clone(),
        store: devices.store.clone(),
        control: control.clone(),
        buses: vec![
            devices.blkfront.bus().clone(),
            devices.netfront.bus().clone(),
        ],
        pcifront: devices.pcifront.clone(),
        run_loop: run_loop.clone(),
        shards: shards.clone(),
        obstacle: Box::new(obstacle),
    };
    pv.exec.spawn("suspend", suspension.serve());
}

impl<H: Hypervisor> Suspension<H> {
    async fn serve(self) {
        loop {
            self.control.asked_to_suspend().await;
            if let Err(why) = self.suspend().await {
                warn!(self.pv.log, PART, "refused: {why}");
            }
        }
    }

    async fn suspend(&self) -> Result<(), String> {
        if let Some(obstacle) = (self.obstacle)().or_else(|| self.passed_through()) {
            return Err(obstacle);
        }
        let still = self.hold().await;
        // One may have come meanwhile.
        let still = still.and_then(|()| self.passed_through().map_or(Ok(()), Err));
        // Nothing else runs from here until the domain goes on.
        self.control.forget_suspend();
        let suspended = still.and_then(|()| self.pv.hv.suspend().map_err(why));
        let resumed = *suspended.as_ref().unwrap_or(&Resumed::Cancelled);
        if resumed == Resumed::Anew {
            self.begin_anew();
        }
        self.store.release(resumed);
        self.shards.release(resumed);
        self.buses.iter().for_each(|bus| bus.release(resumed));
        match suspended? {
            Resumed::Cancelled => info!(self.pv.log, PART, "cancelled; the domain goes on"),
            Resumed::Anew => info!(self.pv.log, PART, "the domain lives anew"),
        }
        Ok(())
    }

    fn passed_through(&self) -> Option<String> {
        let functions = self.pcifront.functions();
        let first = functions.first()?;
        Some(format!("{} is passed through", first.address))
    }

    /// Waits until nothing is under way with another domain.
    async fn hold(&self) -> Result<(), String> {
        let exec = &self.pv.exec;
        let devices = async {
            for bus in &self.buses {
                bus.hold().await;
            }
            self.shards.hold().await
        };
        match exec.timeout(LIMIT, devices).await {
            Ok(held) => held?,
            Err(_) => return Err(String::from("requests are not answered for 30 s")),
        }
        match exec.timeout(LIMIT, self.store.hold()).await {
            Ok(quiet) => quiet.map_err(|error| error.to_string()),
            Err(_) => Err(String::from("xenstore does not answer for 30 s")),
        }
    }

    /// Xen knows nothing of this domain but its memory.
    fn begin_anew(&self) {
        self.shards.begin_anew();
        self.run_loop.catch_up();
        self.control.begin_anew();
    }
}

/// Why Xen or the kernel would not suspend the domain, as people read it.
fn why(errno: Errno) -> String {
    if errno == Errno::EBUSY {
        String::from("a page of another domain or of a device is mapped")
    } else {
        errno.to_string()
    }
}
