//! A run loop with disks of its own, for a further vCPU.
//!
//! Shards share nothing with each other or with the first vCPU's loop but what is made for it:
//! [`exec::Mailbox`]es and atomics. Each is turned by one vCPU at a time: its own, or, while that
//! is down, by the first.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use blkback::target::Declarations;
use blkback::{Blkback, Claims, ExportUse, Providers};
use blkfront::Blkfront;
use blkfront::unit::Share;
use exec::{Log, Mailbox};
use gate::{Client as GateClient, Server as GateServer};
use geom::{Geom, Params};
use hv::{Hypervisor, Resumed};
use pv::Pv;
use xenbus::Store;

use crate::clients;
use crate::placement::Placement;
use crate::run_loop::RunLoop;
use crate::service;

/// How often a shard tells what it serves, as long as it serves anything.
const REPORT: Duration = Duration::from_millis(500);

/// The ways from shards to what only the first vCPU's loop has.
pub(crate) struct Ways<H: Hypervisor> {
    pub(crate) store: Mailbox<Store>,
    pub(crate) log: Mailbox<Log>,
    pub(crate) gate: Mailbox<GateClient>,
    pub(crate) graph: Mailbox<Geom>,
    pub(crate) blkback: Mailbox<Blkback<H>>,
    /// Whoever serves an export has its claim.
    claims: Claims,
}

impl<H: Hypervisor> Ways<H> {
    pub(crate) fn new(claims: &Claims) -> Self {
        Self {
            claims: claims.clone(),
            store: Mailbox::default(),
            log: Mailbox::default(),
            gate: Mailbox::default(),
            graph: Mailbox::default(),
            blkback: Mailbox::default(),
        }
    }
}

/// What is in a shard, for what is asked of it from outside. A handle; clones speak for the same.
pub(crate) struct Inside<H: Hypervisor>(Rc<Parts<H>>);

struct Parts<H: Hypervisor> {
    store: Store,
    geom: Geom,
    blkfront: Blkfront<H>,
    blkback: Blkback<H>,
    gate: GateServer,
}

impl<H: Hypervisor> Clone for Inside<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// What a further vCPU turns.
pub struct Shard<H: Hypervisor> {
    run_loop: RunLoop<H>,
    inside: Inside<H>,
}

impl<H: Hypervisor> Shard<H> {
    /// The shard for vCPU `number`, and the way into it; nothing of it runs yet.
    pub(crate) fn new(
        home: &Pv<H>,
        number: u32,
        placement: &Placement,
        ways: &Ways<H>,
        declarations: Declarations,
    ) -> (Self, Mailbox<Inside<H>>) {
        let pv = home.beside();
        pv.log.set_level(home.log.level());
        pv.exec.set_bell(placement.ringer(number));
        let run_loop = RunLoop::new(&pv, number, placement);
        pv.exec
            .spawn("log", relay(pv.log.clone(), ways.log.clone()));
        let inside = Inside::start(&pv, number, placement.vcpus(), ways, declarations);
        let mailbox = Mailbox::default();
        let serve = mailbox.clone().serve(pv.exec.clone(), inside.clone());
        pv.exec.spawn("mailbox", serve);
        (Self { run_loop, inside }, mailbox)
    }

    /// As [`RunLoop::begin_move`].
    pub(crate) fn begin_move(&self) -> Option<(u32, impl FnOnce() + use<H>)> {
        self.run_loop.begin_move()
    }

    /// Its run loop, which is one of the life that the domain is in.
    pub(crate) fn run_loop(&self) -> &RunLoop<H> {
        self.run_loop.catch_up();
        &self.run_loop
    }

    /// The domain dies, and nothing of it runs any more: answers what clients of the shard's
    /// exports asked for, and tells them to close, by `store`, which is the first vCPU's loop's;
    /// says whether there was anything, or anybody. See [`Blkback::last_words`] and
    /// [`Blkback::close_last`].
    pub fn last_words(&self, store: &Store) -> bool {
        let blkback = &self.inside.0.blkback;
        blkback.last_words() | blkback.close_last(store)
    }
}

impl<H: Hypervisor> Inside<H> {
    /// Starts all that shard `number` of `of` has.
    fn start(pv: &Pv<H>, number: u32, of: u32, ways: &Ways<H>, declarations: Declarations) -> Self {
        // What is on the disks is found where the graph is.
        let geom = Geom::with_classes(Params::default(), Vec::new());
        let store = Store::behind(pv, &ways.store);
        let share = Share { own: number, of };
        let providers = Providers::There {
            graph: ways.graph.clone(),
            disks: geom.clone(),
        };
        let ours = move |provider: Option<&str>| share.has_provider(provider);
        let this = Self(Rc::new(Parts {
            blkfront: Blkfront::start_share(pv, &store, &geom, share),
            blkback: Blkback::start_share(
                pv,
                &store,
                providers,
                declarations,
                (ways.claims.clone(), ours),
            ),
            gate: GateServer::start(&pv.exec, &geom, &ways.gate, number),
            store,
            geom: geom.clone(),
        }));
        let polled = service::spawn(pv, &geom);
        let gate = this.0.gate.clone();
        pv.exec.spawn("gates", async move {
            loop {
                polled.notified().await;
                gate.look();
            }
        });
        let (exec, blkback) = (pv.exec.clone(), this.0.blkback.clone());
        let home = ways.blkback.clone();
        pv.exec.spawn("exports", async move {
            let mut told = Vec::new();
            loop {
                report(number, &blkback, &mut told, &home);
                if told.is_empty() {
                    blkback.added().await;
                }
                exec.sleep(REPORT).await;
            }
        });
        this
    }

    /// Waits until every disk that was there at boot is connected, or known not to be for now, and
    /// is shown to the graph.
    pub(crate) async fn settled(self) {
        self.0.blkfront.settled().await;
        // What was made by then is seen to by this poll.
        self.0.geom.poll(Duration::ZERO);
        self.0.gate.look();
    }

    /// Waits until nothing is under way on its disks, and lets nothing begin until
    /// [`release`](Self::release).
    ///
    /// # Errors
    /// Who uses an export, as people read it.
    pub(crate) async fn hold_disks(self) -> Result<(), String> {
        if let Some(obstacle) = clients::of(&self.0.blkback) {
            return Err(obstacle);
        }
        self.0.blkfront.bus().hold().await;
        Ok(())
    }

    /// Waits until nothing is under way with xenstore, and lets nothing begin until
    /// [`release`](Self::release).
    ///
    /// # Errors
    /// Why that is not to be had, as people read it.
    pub(crate) async fn hold_store(self) -> Result<(), String> {
        let held = self.0.store.hold().await;
        held.map_err(|error| error.to_string())
    }

    /// Goes on.
    pub(crate) fn release(&self, resumed: Resumed) {
        self.0.store.release(resumed);
        self.0.blkfront.bus().release(resumed);
    }

    /// Lets clients go, as [`Blkback::close`] does.
    pub(crate) async fn close(self) {
        self.0.blkback.close().await;
    }
}

/// Tells what a shard serves, if that is not what was told last.
fn report<H: Hypervisor>(
    number: u32,
    blkback: &Blkback<H>,
    told: &mut Vec<ExportUse>,
    home: &Mailbox<Blkback<H>>,
) {
    let exports = blkback.own_exports();
    if *told != exports {
        told.clone_from(&exports);
        home.send(move |_, blkback| blkback.set_elsewhere(number, exports));
    }
}

/// Writes the lines of a shard's log into the domain's.
async fn relay(log: Log, home: Mailbox<Log>) {
    let mut next = 0;
    loop {
        for line in log.lines_from(next) {
            next = line.number + 1;
            let (level, part, text) = (line.level, line.part.clone(), line.text.clone());
            home.send(move |_, log| log.write(level, &part, format_args!("{text}")));
        }
        log.written().await;
    }
}
