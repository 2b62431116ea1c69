//! The parts of a domain, put together and run.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use balloon::Balloon;
use blkback::{Blkback, Claims, Providers};
use blkfront::Blkfront;
use blkfront::unit::Share;
use console::Console;
use control::Control;
use exec::Notify;
use futures_util::future::{Either, join, select};
use geom::Geom;
use hv::{Hypervisor, ShutdownReason};
use net::Net;
use netfront::Netfront;
use nvme::Nvme;
use pcifront::Pcifront;
use pv::Pv;
use shell::command::Parts;
use shell::settings::Settings;
use shell::shell::Shell;
use xenbus::Store;

use crate::clients;
use crate::devices::{self, Devices};
use crate::nbd_service;
use crate::pages::Pages;
use crate::placement::Placement;
use crate::run_loop::{Next, RunLoop};
use crate::suspend;
use crate::vcpus::shard::Shard;
use crate::vcpus::shards::Shards;
use crate::vcpus::turning::{self, ShardCell};

/// How long the boot log has the console for itself if the domain does not get ready sooner.
const BOOT_LOG: Duration = Duration::from_secs(2);
/// How long the last lines have to get out of the console ring.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running domain. Its parts are handles.
pub struct Domain<H: Hypervisor> {
    /// Hypervisor, grants, events, tasks, log.
    pub pv: Pv<H>,
    /// What gives memory to Xen and gets it back.
    pub balloon: Balloon,
    /// Xenstore.
    pub store: Store,
    /// Disks and what they are made into.
    pub geom: Geom,
    /// The block devices.
    pub blkfront: Blkfront<H>,
    /// What is served to others.
    pub blkback: Blkback<H>,
    /// The network devices.
    pub netfront: Netfront<H>,
    /// What speaks over them.
    pub net: Net,
    /// The functions of PCI devices.
    pub pcifront: Pcifront<H>,
    /// The NVMe controllers among them.
    pub nvme: Nvme<H>,
    run_loop: Rc<RunLoop<H>>,
    /// Why the domain ends.
    end: Rc<Cell<Option<ShutdownReason>>>,
}

impl<H: Hypervisor> Domain<H> {
    /// Puts a domain together over `hv` and starts its tasks; nothing runs before the first
    /// [`turn`](Self::turn). `command_line` is start_info's; what it cannot mean is warned of and
    /// left out. With it come what the further vCPUs turn, one for each; the first vCPU has all of
    /// them until it hands them on. To be called once per domain.
    pub fn start(hv: H, command_line: &str) -> (Self, Vec<Shard<H>>) {
        let pv = Pv::new(hv);
        let mut settings = devices::settings(&pv, command_line);
        let placement = Placement::new(pv.hv.vcpus());
        let share = Share {
            own: 0,
            of: placement.vcpus(),
        };
        let devices = Devices::start(&pv, &settings, share);
        let exports = core::mem::take(&mut settings.exports);
        let claims = Claims::default();
        let blkback = if placement.is_shared() {
            let providers = Providers::Here(devices.geom.clone());
            let ours = move |provider: Option<&str>| share.has_provider(provider);
            let shared = (claims.clone(), ours);
            Blkback::start_share(&pv, &devices.store, providers, exports.clone(), shared)
        } else {
            Blkback::start(&pv, &devices.store, &devices.geom, exports.clone())
        };
        let run_loop = Rc::new(RunLoop::new(&pv, 0, &placement));
        let (shards, made) = Shards::start(
            &pv,
            (&devices.store, &devices.geom),
            &blkback,
            (&claims, &exports),
            &placement,
        );
        let pages = Rc::new(Pages {
            hv: pv.hv.clone(),
            copies: blkback.copies(),
        });
        let settled = devices.spawn_services(&pv, &settings, &shards, pages);
        let control = Control::start(&pv, &devices.store);
        let served = blkback.clone();
        let obstacle = move || clients::of(&served);
        suspend::spawn(&pv, &devices, &control, &run_loop, &shards, obstacle);
        let domain = Self {
            balloon: Balloon::start(&pv, &devices.store),
            pv,
            store: devices.store,
            geom: devices.geom,
            blkfront: devices.blkfront,
            blkback,
            netfront: devices.netfront,
            net: devices.net,
            pcifront: devices.pcifront,
            nvme: devices.nvme,
            run_loop,
            end: Rc::default(),
        };
        domain.spawn_servers(&mut settings);
        domain.spawn_console(control, shards, settings.run, settled);
        (domain, made)
    }

    /// What commands speak to.
    fn parts(&self) -> Parts<H> {
        Parts {
            pv: self.pv.clone(),
            balloon: self.balloon.clone(),
            store: self.store.clone(),
            geom: self.geom.clone(),
            blkback: self.blkback.clone(),
            net: self.net.clone(),
            pcifront: self.pcifront.clone(),
            nvme: self.nvme.clone(),
        }
    }

    /// What is served over the network. Without an interface they only listen.
    fn spawn_servers(&self, settings: &mut Settings) {
        let exec = &self.pv.exec;
        if let Some(port) = settings.page {
            let token = settings.token.take();
            let page = page::serve(self.parts(), self.net.clone(), port, token);
            exec.spawn("page", page);
        }
        let exports = core::mem::take(&mut settings.nbd);
        if !exports.is_empty() {
            let around = (exec.clone(), self.pv.log.clone());
            let (geom, net) = (self.geom.clone(), self.net.clone());
            let hv = self.pv.hv.clone();
            let room = Rc::new(move || hv.heap_room());
            exec.spawn("nbd", nbd_service::serve(around, room, geom, net, exports));
        }
    }

    /// Console, shell, and the domain's end, which either the shell or the administrator asks for.
    fn spawn_console(
        &self,
        control: Control,
        shards: Shards<H>,
        run: Option<String>,
        settled: impl Future<Output = ()> + 'static,
    ) {
        let (pv, end) = (self.pv.clone(), self.end.clone());
        let blkback = self.blkback.clone();
        let console = Console::start(&pv);
        let shell = Shell::new(self.parts());
        let ready = self.spawn_ready(shell.clone(), run, settled);
        self.pv.exec.spawn("shell", async move {
            let wish = pin!(control.asked_to_end());
            let served = pin!(async {
                let _longer = pv.exec.timeout(BOOT_LOG, ready.notified()).await;
                shell.serve(console.clone()).await
            });
            let reason = match select(served, wish).await {
                Either::Left((reason, _)) | Either::Right((reason, _)) => reason,
            };
            // Dying as of a fault is what a crash that is asked for is to show.
            if reason != ShutdownReason::Crash {
                join(blkback.close(), shards.close()).await;
            }
            console.flush(LAST_LINES).await;
            end.set(Some(reason));
        });
    }

    /// Says when the domain is ready, and then has the shell run what the command line asks for.
    fn spawn_ready(
        &self,
        shell: Shell<H>,
        run: Option<String>,
        settled: impl Future<Output = ()> + 'static,
    ) -> Rc<Notify> {
        let ready = Rc::new(Notify::new());
        let told = ready.clone();
        self.pv.exec.spawn("ready", async move {
            settled.await;
            told.notify();
            if let Some(line) = run {
                shell.submit(&line);
            }
        });
        ready
    }

    /// Runs every task that has something to do, once round, with those of the shards that the
    /// first vCPU, which calls this, has. The caller then does what it is told, and calls again.
    #[must_use = "it says what to do next"]
    pub fn turn(&self, shards: &[impl ShardCell<H>]) -> Next {
        let next = turning::turn(Some(&*self.run_loop), shards);
        self.end.get().map_or(next, Next::End)
    }
}
