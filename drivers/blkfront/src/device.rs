//! One vbd from its appearance to its removal.
//!
//! What to do next follows from both ends' xenbus states alone ([`xenbus::state::next_step`]); this
//! task does it. It never waits without also looking at the backend's state and at whether the
//! toolstack has taken the device away.

mod connecting;
mod opening;

use alloc::rc::Rc;
use alloc::string::ToString;
use core::future::{Future, pending};
use core::pin::pin;
use core::time::Duration;

use exec::{Executor, Level};
use futures_util::{FutureExt, select_biased};
use geom::Geom;
use hv::{Hypervisor, Instant};
use pv::Pv;
use xenbus::state::{Step, XenbusState, next_step};
use xenbus::{BackendWatch, Frontend};

use crate::failure::Failure;
use crate::late::Leavings;
use crate::link::{Identity, Link};
use crate::signals::Signals;

/// How long outstanding answers are awaited once the backend is Closing. libxl gives up at 10 s.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a backend may take for its part of a handshake before it is complained of.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a backend that serves a former life of this domain may take to let go of it.
const RESET: Duration = Duration::from_secs(5);
/// The pause before the second connection in a row that did not last; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasted this long was a good one.
const LASTED: Duration = Duration::from_secs(30);
/// One vbd.
pub(crate) struct Device<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) geom: Geom,
    pub(crate) identity: Identity,
    pub(crate) signals: Rc<Signals>,
    pub(crate) leavings: Rc<Leavings<H>>,
    /// The most queues that are made, one at least.
    pub(crate) queues: u32,
}

/// What ended a wait.
enum Seen {
    Backend(Option<XenbusState>),
    Removed,
    Drained,
    Deadline,
}

/// What a device's task knows besides the store.
struct Course<H: Hypervisor> {
    frontend: Frontend,
    watch: BackendWatch,
    link: Option<Link<H>>,
    backend: Option<XenbusState>,
    deadline: Option<Instant>,
    connected_at: Option<Instant>,
    pause: Duration,
    /// It failed for a reason that a new connection would not mend.
    failed: bool,
    /// The backend was complained of for not connecting.
    complained: bool,
}

impl<H: Hypervisor> Course<H> {
    fn is_live(&self) -> bool {
        self.link.is_some() && self.frontend.state() == XenbusState::Connected
    }

    /// Whether the backend's nodes are gone.
    async fn has_no_backend(&self) -> bool {
        self.frontend.backend_state().await == Ok(None)
    }

    /// Whether the disk takes new requests.
    fn is_open(&self) -> bool {
        self.is_live() && self.link.as_ref().is_some_and(|link| link.door.is_open())
    }
}

impl<H: Hypervisor> Device<H> {
    /// Serves the device until the toolstack has taken it away.
    pub(crate) async fn run(&self, store: &xenbus::Store) {
        if let Some(mut course) = self.opened(store).await {
            let end = self.follow(&mut course).await;
            Self::leave(&mut course);
            self.signals.settle();
            if let Err(failure) = end
                && !failure.is_removal()
            {
                exec::error!(self.pv.log, &self.identity.name, "{failure}");
            }
            self.say_closed(&course.frontend).await;
        }
        self.signals.settle();
    }

    /// Follows the two states until the device is removed.
    async fn follow(&self, course: &mut Course<H>) -> Result<(), Failure> {
        if !matches!(
            course.frontend.state(),
            XenbusState::Initialising | XenbusState::Closing | XenbusState::Closed
        ) {
            self.reset(course).await?;
        }
        while !self.signals.removed.get() {
            match self.step(course).await {
                Ok(Step::Vanished) => return Ok(()),
                Ok(_) => {}
                Err(failure) if failure.is_removal() => return Ok(()),
                Err(failure) if failure.is_silence() && course.is_live() => {
                    let text = format_args!("{failure}; the disk goes on");
                    self.pv.log.limited(Level::Warn, &self.identity.name, text);
                }
                Err(failure) if failure.is_loss() && course.is_open() => {
                    self.go_on(course, &failure).await?;
                }
                Err(failure) if failure.is_loss() => return Err(failure),
                Err(Failure::Store(error)) => return Err(Failure::Store(error)),
                // Its backend went while its nodes were read: the next look sees to that.
                Err(failure) if failure.is_absence() && course.has_no_backend().await => {}
                Err(failure) => self.fail(course, &failure).await?,
            }
        }
        Ok(())
    }

    /// Serves requests without the store: nothing is heard of the backend or of the toolstack any
    /// more, but nothing of that is needed for I/O.
    async fn go_on(&self, course: &mut Course<H>, loss: &Failure) -> Result<(), Failure> {
        exec::warn!(
            self.pv.log,
            &self.identity.name,
            "{loss}; the disk goes on, and cannot be taken away or resized"
        );
        match self.beside(&mut course.link, self.wait_for_removal()).await {
            Ok(()) => Ok(()),
            Err(failure) => self.fail(course, &failure).await,
        }
    }

    /// Looks at both states and does what follows from them.
    async fn step(&self, course: &mut Course<H>) -> Result<Step, Failure> {
        let Course { frontend, link, .. } = course;
        // Read anew each time: a wait that ended for another reason may have swallowed a change.
        let looked = async {
            (
                frontend.backend_state().await,
                frontend.backend_online().await,
            )
        };
        let (backend, online) = self.beside(link, looked).await?;
        course.backend = backend.map_err(Failure::Store)?;
        let own = course.frontend.state();
        let step = match next_step(own, course.backend, online) {
            // There is nothing to give up, and who makes both ends anew makes this one so.
            Step::Vanished if own == XenbusState::Initialising => Step::Wait,
            step => step,
        };
        self.pv.trace.record(
            self.pv.hv.now(),
            "blkfront state",
            u64::from(own.number()),
            course
                .backend
                .map_or(u64::MAX, |state| u64::from(state.number())),
        );
        self.take(course, step).await?;
        Ok(step)
    }

    /// Waits for what the store says, and serves requests meanwhile: a disk in use does not depend
    /// on how fast xenstored is.
    async fn beside<T>(
        &self,
        link: &mut Option<Link<H>>,
        said: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut said = pin!(said.fuse());
        let mut rang = false;
        loop {
            look(link, rang)?;
            let mut event = pin!(event(link.as_ref(), &self.pv.exec).fuse());
            let mut work = pin!(work(link.as_ref()).fuse());
            select_biased! {
                said = said => return Ok(said),
                () = event => rang = true,
                () = work => rang = false,
            }
        }
    }

    async fn take(&self, course: &mut Course<H>, step: Step) -> Result<(), Failure> {
        match step {
            Step::Publish if !course.failed => self.publish(course).await?,
            Step::GoLive => self.go_live(course).await?,
            Step::Reread => {
                self.reread(course).await?;
                self.wait(course).await?;
            }
            Step::Drain => self.drain(course).await?,
            Step::Abandon => self.close(course).await?,
            Step::Reset => self.reset(course).await?,
            Step::Restart if !course.failed => self.restart(course).await?,
            Step::Publish | Step::Restart | Step::Wait => {
                // What is waited for will not come to nodes that were made anew meanwhile.
                if !course.is_live() {
                    course.frontend.check().await.map_err(Failure::Store)?;
                }
                self.wait(course).await?;
            }
            Step::Vanished => {}
        }
        Ok(())
    }

    /// Waits for the backend, and serves requests meanwhile.
    async fn wait(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let own = course.frontend.state();
        if own == XenbusState::Closed && course.backend == Some(XenbusState::Closed) {
            self.signals.settle();
        }
        let limit = match own {
            XenbusState::Closing => Some(RESET),
            XenbusState::Initialising | XenbusState::Initialised => Some(HANDSHAKE),
            // As found at boot: the backend may still be on its way to a new start.
            XenbusState::Closed if !self.signals.is_settled() => Some(HANDSHAKE),
            _ => None,
        };
        if let Some(limit) = limit
            && !(course.complained && limit == HANDSHAKE)
        {
            course
                .deadline
                .get_or_insert(self.pv.exec.now().after(limit));
        }
        match self.serve(course, false).await? {
            Seen::Backend(state) => course.backend = state,
            Seen::Deadline if own == XenbusState::Closing => self.close(course).await?,
            Seen::Deadline => {
                let state = course.backend.unwrap_or(XenbusState::Unknown);
                let text = format_args!("the backend does not connect: it is {state}");
                self.pv.log.limited(Level::Warn, &self.identity.name, text);
                course.deadline = None;
                course.complained = true;
                self.signals.settle();
            }
            Seen::Removed | Seen::Drained => {}
        }
        Ok(())
    }

    /// Serves requests until the backend's state may have changed, the device is removed, the
    /// deadline comes, or (if `draining`) no answer is outstanding.
    async fn serve(&self, course: &mut Course<H>, draining: bool) -> Result<Seen, Failure> {
        let Course {
            watch,
            link,
            deadline,
            ..
        } = course;
        let mut backend = pin!(watch.next().fuse());
        let mut sleep = pin!(self.sleep_until(*deadline).fuse());
        let mut rang = false;
        loop {
            if self.signals.removed.get() {
                return Ok(Seen::Removed);
            }
            look(link, rang)?;
            if draining
                && link
                    .as_ref()
                    .is_none_or(|link| link.queues.outstanding() == 0)
            {
                return Ok(Seen::Drained);
            }
            let mut event = pin!(event(link.as_ref(), &self.pv.exec).fuse());
            let mut work = pin!(work(link.as_ref()).fuse());
            let mut removal = pin!(self.signals.removal.notified().fuse());
            select_biased! {
                () = removal => return Ok(Seen::Removed),
                state = backend => return state.map(Seen::Backend).map_err(Failure::Store),
                () = event => rang = true,
                () = work => rang = false,
                () = sleep => return Ok(Seen::Deadline),
            }
        }
    }

    async fn sleep_until(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.pv.exec.sleep_until(deadline).await,
            None => pending().await,
        }
    }

    /// The backend wants to go: waits for what it still answers, then lets it.
    async fn drain(&self, course: &mut Course<H>) -> Result<(), Failure> {
        if let Some(link) = &mut course.link {
            link.refuse();
        }
        course.deadline = Some(self.pv.exec.now().after(DRAIN));
        while course.backend == Some(XenbusState::Closing) {
            match self.serve(course, true).await? {
                Seen::Backend(state) => course.backend = state,
                Seen::Drained | Seen::Deadline | Seen::Removed => break,
            }
        }
        self.close(course).await
    }

    /// Lets go of the connection and says so.
    async fn close(&self, course: &mut Course<H>) -> Result<(), Failure> {
        Self::leave(course);
        course.deadline = None;
        if self.signals.removed.get() {
            return Ok(());
        }
        course
            .frontend
            .set_state(XenbusState::Closed)
            .await
            .map_err(Failure::Store)?;
        self.signals.settle();
        Ok(())
    }

    /// The backend serves a former life of this domain: it is told that that life is over.
    async fn reset(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let text = format_args!("the backend is not new: its former connection is closed first");
        self.pv.log.limited(Level::Info, &self.identity.name, text);
        course.deadline = Some(self.pv.exec.now().after(RESET));
        course
            .frontend
            .set_state(XenbusState::Closing)
            .await
            .map_err(Failure::Store)
    }

    /// Begins a new connection; not at once if the last ones did not last, so that a backend that
    /// opens and closes for ever costs little.
    async fn restart(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let now = self.pv.exec.now();
        let lasted = course
            .connected_at
            .take()
            .is_some_and(|since| now.since(since) >= LASTED);
        let pause = if lasted { Duration::ZERO } else { course.pause };
        course.pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        course.deadline = Some(now.after(pause));
        while !pause.is_zero() {
            match self.serve(course, false).await? {
                Seen::Backend(state) => course.backend = state,
                Seen::Deadline | Seen::Drained => break,
                Seen::Removed => return Ok(()),
            }
        }
        course.deadline = None;
        course
            .frontend
            .set_state(XenbusState::Initialising)
            .await
            .map_err(Failure::Store)
    }

    /// Ends the device for good, until the toolstack makes it anew.
    async fn fail(&self, course: &mut Course<H>, failure: &Failure) -> Result<(), Failure> {
        course.failed = true;
        Self::leave(course);
        course
            .frontend
            .fatal(&self.identity.name, &failure.to_string())
            .await;
        course.deadline = Some(self.pv.exec.now().after(RESET));
        self.signals.settle();
        Ok(())
    }

    /// Fails what is outstanding, gives GEOM's disk up and lets go of ring and port.
    fn leave(course: &mut Course<H>) {
        if let Some(link) = course.link.take() {
            link.leave();
        }
    }
}

/// Takes the answers there are and sends what waits. An event that `rang` for this must have
/// brought something; a backend that goes on without is heard ever more rarely.
fn look<H: Hypervisor>(link: &mut Option<Link<H>>, rang: bool) -> Result<(), Failure> {
    if let Some(link) = link {
        let answered = link.turn()?;
        if rang {
            link.queues.count_event(answered != 0);
        }
    }
    Ok(())
}

/// An event of the backend's; never, if there is no ring.
async fn event<H: Hypervisor>(link: Option<&Link<H>>, exec: &Executor) {
    match link {
        Some(link) => link.queues.event(exec).await,
        None => pending().await,
    }
}

/// A request from GEOM; never, if there is no ring.
async fn work<H: Hypervisor>(link: Option<&Link<H>>) {
    match link {
        Some(link) => link.door.work().notified().await,
        None => pending().await,
    }
}
