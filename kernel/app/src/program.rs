//! A domain that runs one program, without a shell.
//!
//! ```text
//! fn run(xen: &Xen) -> ! {
//!     let program = Program::start(xen.clone(), xen.command_line(), |app| async move {
//!         app.ready().await;
//!         let Ok(mut listener) = app.net.listen(7) else {
//!             return ShutdownReason::Crash;
//!         };
//!         loop {
//!             let (stream, from) = listener.accept().await;
//!             app.say(format_args!("{from} is here"));
//!             app.spawn("echo", echo(stream));
//!         }
//!     });
//!     loop {
//!         match program.turn() {
//!             Next::Turn => {}
//!             Next::Sleep => xen.block(),
//!             Next::Stop => xen.vcpu_down(),
//!             Next::End(reason) => xen.shutdown(reason),
//!         }
//!     }
//! }
//! ```
//!
//! A program is one `async` function over an [`App`]: its disks are [`App::geom`]'s
//! ([`geom::Device`] reads and writes one), its network is [`App::net`], xenstore is
//! [`App::store`], and time is [`App::sleep`]. What it writes by [`App::say`] is on the console and
//! in the log. The keys of the kernel command line mean the same as for any domain, but those of
//! the shell and of what it serves, which mean nothing.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::fmt;
use core::pin::pin;
use core::time::Duration;

use balloon::Balloon;
use blkfront::unit::Share;
use console::Console;
use control::Control;
use exec::{Executor, Level, Log, Notify};
use futures_util::future::{Either, select};
use geom::Geom;
use hv::{Hypervisor, ShutdownReason};
use iobuf::Copies;
use net::Net;
use pv::Pv;
use xenbus::Store;

use crate::devices::{self, Devices};
use crate::pages::Pages;
use crate::placement::Placement;
use crate::run_loop::{Next, RunLoop};
use crate::suspend;
use crate::vcpus::shards::Shards;
use crate::vcpus::turning;

/// How long the last lines have to get out of the console ring.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What a program is given. A handle; clones are the same domain's.
#[derive(Clone)]
pub struct App {
    /// Disks and what they are made into.
    pub geom: Geom,
    /// The network.
    pub net: Net,
    /// Xenstore.
    pub store: Store,
    /// Tasks and time.
    pub exec: Executor,
    /// The log, which is shown on the console.
    pub log: Log,
    /// What `app=` on the kernel command line says; may be empty.
    pub arguments: String,
    settled: Rc<Settled>,
}

#[derive(Default)]
struct Settled {
    done: Cell<bool>,
    waiting: RefCell<alloc::vec::Vec<Rc<Notify>>>,
}

impl App {
    /// Waits until the disks and network interfaces that were there at boot can be used, or are
    /// known not to be for now. An address that DHCP gives may come later.
    pub async fn ready(&self) {
        if self.settled.done.get() {
            return;
        }
        let told = Rc::new(Notify::new());
        self.settled.waiting.borrow_mut().push(told.clone());
        told.notified().await;
    }

    /// Writes a line.
    pub fn say(&self, text: fmt::Arguments<'_>) {
        self.log.write(Level::Info, "app", text);
    }

    /// Writes a line that somebody outside can cause at will: of too many most are left out.
    pub fn mention(&self, text: fmt::Arguments<'_>) {
        self.log.limited(Level::Info, "app", text);
    }

    /// Waits for so long.
    pub async fn sleep(&self, time: Duration) {
        self.exec.sleep(time).await;
    }

    /// Adds a task, which runs beside the program and ends with the domain. `name` is what it is
    /// called among tasks.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.exec.spawn(name, task);
    }
}

/// A domain that runs one program.
pub struct Program<H: Hypervisor> {
    /// Hypervisor, grants, events, tasks, log.
    pub pv: Pv<H>,
    run_loop: Rc<RunLoop<H>>,
    /// Why the domain ends.
    end: Rc<Cell<Option<ShutdownReason>>>,
}

impl<H: Hypervisor> Program<H> {
    /// Puts a domain together over `hv` that runs `main`, and ends for the reason that it returns,
    /// or when the administrator wants it to; nothing runs before the first [`turn`](Self::turn).
    /// To be called once per domain, instead of [`Domain::start`](crate::Domain::start).
    pub fn start<F>(hv: H, command_line: &str, main: impl FnOnce(App) -> F) -> Self
    where
        F: Future<Output = ShutdownReason> + 'static,
    {
        let pv = Pv::new(hv);
        let settings = devices::settings(&pv, command_line);
        let devices = Devices::start(&pv, &settings, Share::default());
        // A program has one run loop, and the first vCPU.
        let placement = Placement::new(1);
        let run_loop = Rc::new(RunLoop::new(&pv, 0, &placement));
        let shards = Shards::none(&pv, &devices.store, &placement);
        let pages = Rc::new(Pages {
            hv: pv.hv.clone(),
            copies: Copies::new(pv.hv.clone()),
        });
        let settled = devices.spawn_services(&pv, &settings, &shards, pages);
        let console = Console::start(&pv);
        let control = Control::start(&pv, &devices.store);
        suspend::spawn(&pv, &devices, &control, &run_loop, &shards, || None);
        let _balloon = Balloon::start(&pv, &devices.store);
        let told = Rc::new(Settled::default());
        let app = App {
            geom: devices.geom,
            net: devices.net,
            store: devices.store,
            exec: pv.exec.clone(),
            log: pv.log.clone(),
            arguments: settings.app,
            settled: told.clone(),
        };
        pv.exec.spawn("ready", async move {
            settled.await;
            told.done.set(true);
            let waiting = told.waiting.take();
            waiting.iter().for_each(|waiting| waiting.notify());
        });
        let main = main(app);
        let end = Rc::<Cell<_>>::default();
        let ends = end.clone();
        pv.exec.spawn("app", async move {
            let (wish, main) = (pin!(control.asked_to_end()), pin!(main));
            let reason = match select(main, wish).await {
                Either::Left((reason, _)) | Either::Right((reason, _)) => reason,
            };
            console.flush(LAST_LINES).await;
            ends.set(Some(reason));
        });
        Self { pv, run_loop, end }
    }

    /// Runs every task that has something to do, once round. The caller then does what it is told,
    /// and calls again.
    #[must_use = "it says what to do next"]
    pub fn turn(&self) -> Next {
        let next = turning::turn(Some(&*self.run_loop), &[] as &[Infallible]);
        self.end.get().map_or(next, Next::End)
    }
}
