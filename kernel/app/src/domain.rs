//! The parts of a domain, put together and run.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use blkback::Blkback;
use blkfront::Blkfront;
use console::Console;
use control::Control;
use exec::{Notify, error, info, warn};
use futures_util::future::{Either, select};
use geom::class::md::MdParams;
use geom::{Geom, Params};
use hv::{Hypervisor, ShutdownReason};
use pv::Pv;
use shell::command::Parts;
use shell::settings::Settings;
use shell::shell::Shell;
use xenbus::Store;

use crate::alarm::Alarm;
use crate::pages::Pages;
use crate::{ready, service};

/// How long the boot log has the console for itself if the domain does not get ready sooner.
const BOOT_LOG: Duration = Duration::from_secs(2);
/// How long the last lines have to get out of the console ring.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What the run loop does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another turn at once: something is ready.
    Turn,
    /// Sleep until an event comes: Xen sends one when the time has come for what waits for a time.
    Sleep,
    /// End the domain.
    End(ShutdownReason),
}

/// A running domain. Its parts are handles.
pub struct Domain<H: Hypervisor> {
    /// Hypervisor, grants, events, tasks, log.
    pub pv: Pv<H>,
    /// Xenstore.
    pub store: Store,
    /// Disks and what they are made into.
    pub geom: Geom,
    /// The block devices.
    pub blkfront: Blkfront<H>,
    /// What is served to others.
    pub blkback: Blkback<H>,
    alarm: Rc<Alarm>,
    end: Rc<Cell<Option<ShutdownReason>>>,
}

impl<H: Hypervisor> Domain<H> {
    /// Puts a domain together over `hv` and starts its tasks; nothing runs before the first
    /// [`turn`](Self::turn). `command_line` is start_info's; what it cannot mean is warned of and
    /// left out. To be called once per domain.
    pub fn start(hv: H, command_line: &str) -> Self {
        let pv = Pv::new(hv);
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

        let store = Store::start(&pv);
        let mut params = Params::default();
        if let Some(limit) = settings.taste_timeout {
            params.taste_deadline = limit;
        }
        let geom = Geom::new(params);
        let blkfront = Blkfront::start(&pv, &store, &geom);
        let blkback = Blkback::start(&pv, &store, &geom, settings.exports);
        geom.set_page_source(Rc::new(Pages {
            hv: pv.hv.clone(),
            copies: blkback.copies(),
        }));
        let domain = Self {
            pv,
            store,
            geom,
            blkfront,
            blkback,
            alarm: Rc::default(),
            end: Rc::default(),
        };
        domain.make_disks(&settings.mds);
        domain.spawn_services(settings.watchdog);
        domain.spawn_console(settings.run);
        domain
    }

    /// Makes the memory disks that the command line asks for.
    fn make_disks(&self, mds: &[MdParams]) {
        for md in mds {
            let (label, size) = (&md.label, md.size);
            match self.geom.md_create(md) {
                Ok(name) => info!(self.pv.log, "md", "{name}: {label}, {size} bytes"),
                Err(error) => error!(self.pv.log, "md", "md={label}: {error}"),
            }
        }
    }

    fn spawn_services(&self, watchdog: Option<Duration>) {
        let pv = &self.pv;
        let alarm = self.alarm.clone();
        pv.exec.spawn("timer", service::timer(pv.clone(), alarm));
        pv.exec
            .spawn("grant sweep", pv.grants.clone().reclaim(pv.exec.clone()));
        if let Some(limit) = watchdog {
            pv.exec
                .spawn("watchdog", service::watchdog(pv.clone(), limit));
        }
    }

    /// Console, shell, and the domain's end, which either the shell or the administrator asks for.
    fn spawn_console(&self, run: Option<String>) {
        let (pv, end) = (self.pv.clone(), self.end.clone());
        let blkback = self.blkback.clone();
        let console = Console::start(&pv);
        let control = Control::start(&pv, &self.store);
        let parts = Parts {
            pv: pv.clone(),
            store: self.store.clone(),
            geom: self.geom.clone(),
            blkback: self.blkback.clone(),
        };
        let shell = Shell::new(parts);
        let ready = self.spawn_ready(shell.clone(), run);
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
                blkback.close().await;
            }
            console.flush(LAST_LINES).await;
            end.set(Some(reason));
        });
    }

    /// Says when the domain is ready, and then has the shell run what the command line asks for.
    fn spawn_ready(&self, shell: Shell<H>, run: Option<String>) -> Rc<Notify> {
        let (ready, polled) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
        let geom = service::geom(self.pv.clone(), self.geom.clone(), polled.clone());
        self.pv.exec.spawn("geom", geom);
        let settled = ready::ready(
            self.pv.clone(),
            self.blkfront.clone(),
            self.geom.clone(),
            polled,
        );
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

    /// Runs every task that has something to do, once round. The caller then does what it is told,
    /// and calls again.
    #[must_use = "it says what to do next"]
    pub fn turn(&self) -> Next {
        self.pv.events.dispatch();
        let more = self.pv.exec.turn(self.pv.hv.now());
        if let Some(reason) = self.end.get() {
            return Next::End(reason);
        }
        if more {
            return Next::Turn;
        }
        if let Some(at) = self.alarm.next(self.pv.exec.next_deadline()) {
            self.pv.hv.set_timer(Some(at));
        }
        Next::Sleep
    }
}
