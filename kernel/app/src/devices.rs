//! What every kind of domain begins with: its log, and its devices.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec;

use blkfront::Blkfront;
use blkfront::unit::Share;
use exec::{info, warn};
use geom::{Geom, PageSource, Params};
use hv::Hypervisor;
use net::Net;
use netfront::Netfront;
use nvme::Nvme;
use pcifront::Pcifront;
use pv::Pv;
use shell::settings::Settings;
use xenbus::Store;

use crate::vcpus::shards::Shards;
use crate::{ready, service};

/// Reads the command line, and says in the log what begins.
pub(crate) fn settings<H: Hypervisor>(pv: &Pv<H>, command_line: &str) -> Settings {
    let (settings, oddities) = Settings::parse(command_line);
    pv.log.set_level(settings.loglevel);
    let pages = pv.hv.memory_use().total;
    info!(
        pv.log,
        "boot",
        "Xenolith {}, {pages} pages of memory",
        env!("CARGO_PKG_VERSION")
    );
    for oddity in oddities {
        warn!(pv.log, "command line", "{oddity}");
    }
    settings
}

/// The devices, and what is made of them.
pub(crate) struct Devices<H: Hypervisor> {
    pub(crate) store: Store,
    pub(crate) geom: Geom,
    pub(crate) blkfront: Blkfront<H>,
    pub(crate) netfront: Netfront<H>,
    pub(crate) net: Net,
    pub(crate) pcifront: Pcifront<H>,
    pub(crate) nvme: Nvme<H>,
}

impl<H: Hypervisor> Devices<H> {
    /// Starts them; of the block frontend's disks those in `share`.
    pub(crate) fn start(pv: &Pv<H>, settings: &Settings, share: Share) -> Self {
        let store = Store::start(pv);
        let mut params = Params::default();
        if let Some(limit) = settings.taste_timeout {
            params.taste_deadline = limit;
        }
        let geom = Geom::new(params);
        let blkfront = Blkfront::start_share(pv, &store, &geom, share);
        let netfront = Netfront::start(pv, &store);
        let net = Net::start(pv, &netfront, settings.addresses.clone());
        let nvme = Nvme::new(pv, &geom);
        let pcifront = Pcifront::start(pv, &store, vec![Box::new(nvme.clone())]);
        Self {
            store,
            geom,
            blkfront,
            netfront,
            net,
            pcifront,
            nvme,
        }
    }

    /// Starts the tasks that keep things going. Returns what says when everything that was there at
    /// boot is settled.
    pub(crate) fn spawn_services(
        &self,
        pv: &Pv<H>,
        settings: &Settings,
        shards: &Shards<H>,
        pages: Rc<dyn PageSource>,
    ) -> impl Future<Output = ()> + 'static {
        self.geom.set_page_source(pages);
        if let Some(limit) = settings.watchdog {
            let shards = shards.clone();
            let others = async move || shards.come_round().await;
            let watchdog = service::watchdog(pv.clone(), limit, others);
            pv.exec.spawn("watchdog", watchdog);
        }
        service::make_disks(&pv.log, &self.geom, &settings.mds);
        let polled = service::spawn(pv, &self.geom);
        let (blkfront, netfront) = (self.blkfront.clone(), self.netfront.clone());
        let (pcifront, nvme) = (self.pcifront.clone(), self.nvme.clone());
        let shards = shards.clone();
        let settled = async move {
            blkfront.settled().await;
            shards.settled().await;
            netfront.settled().await;
            pcifront.settled().await;
            nvme.settled().await;
        };
        ready::ready(pv.clone(), settled, self.geom.clone(), polled)
    }
}
