//! One vif from its appearance to its removal.
//!
//! What to do next follows from both ends' xenbus states ([`xenbus::state::next_step`]) and from
//! whether the link is up; this task does it. It never waits without also looking at the backend's
//! state and at whether the toolstack has taken the device away. Packets are no concern of it.

mod connecting;
mod opening;

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use exec::Level;
use futures_util::{FutureExt, select_biased};
use hv::{Hypervisor, Instant};
use pv::Pv;
use xenbus::state::{Step, XenbusState, next_step};
use xenbus::{BackendWatch, Frontend, Watch};

use crate::Event;
use crate::connection::Connection;
use crate::event::Events;
use crate::failure::Failure;
use crate::keys;
use crate::late::Leavings;
use crate::link::Description;
use crate::misbehaviour::Misbehaviour;
use crate::signals::Signals;

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

/// One vif.
pub(crate) struct Device<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    /// `xn0`.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) signals: Rc<Signals>,
    pub(crate) events: Rc<Events<H>>,
    pub(crate) leavings: Rc<Leavings<H>>,
    /// The most queues that are made, one at least.
    pub(crate) queues: u32,
    /// The backend may leave multicast packets away.
    pub(crate) filter: Rc<Cell<bool>>,
}

/// What ended a wait.
enum Seen {
    Backend(Option<XenbusState>),
    Removed,
    Deadline,
    Fault(Misbehaviour),
    Carrier(bool),
}

/// What a device's task knows besides the store.
struct Course<H: Hypervisor> {
    frontend: Frontend,
    watch: BackendWatch,
    /// What the rings are for, from their publishing on.
    connection: Option<(Rc<Connection<H>>, Description)>,
    /// The backend serves them.
    live: bool,
    carrier: Option<Watch>,
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
    /// Whether the backend's nodes are gone.
    async fn has_no_backend(&self) -> bool {
        self.frontend.backend_state().await == Ok(None)
    }

    /// What to do next. A network backend connects to a frontend that is Connected, so that does
    /// not mean yet that the backend is.
    fn next_step(&self, online: bool) -> Step {
        let own = self.frontend.state();
        let own = match own {
            XenbusState::Connected if self.connection.is_some() && !self.live => {
                XenbusState::Initialised
            }
            own => own,
        };
        match next_step(own, self.backend, online) {
            // There is nothing to give up, and who makes both ends anew makes this one so.
            Step::Vanished if own == XenbusState::Initialising => Step::Wait,
            step => step,
        }
    }

    /// Ends the connection and lets go of rings and ports.
    fn leave(&mut self) {
        self.live = false;
        self.carrier = None;
        if let Some((connection, _)) = self.connection.take() {
            connection.end();
        }
    }
}

impl<H: Hypervisor> Device<H> {
    /// Serves the device until the toolstack has taken it away.
    pub(crate) async fn run(&self, store: &xenbus::Store) {
        if let Some(mut course) = self.opened(store).await {
            let end = self.follow(&mut course).await;
            course.leave();
            self.signals.settle();
            if let Err(failure) = end
                && !failure.is_removal()
            {
                exec::error!(self.pv.log, &self.name, "{failure}");
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
                Err(failure) if failure.is_silence() && course.live => {
                    let text = format_args!("{failure}; the link goes on");
                    self.pv.log.limited(Level::Warn, &self.name, text);
                }
                Err(failure) if failure.is_loss() && course.live => {
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

    /// Keeps the link without the store: nothing is heard of the backend or of the toolstack any
    /// more, but nothing of that is needed for packets.
    async fn go_on(&self, course: &mut Course<H>, loss: &Failure) -> Result<(), Failure> {
        exec::warn!(
            self.pv.log,
            &self.name,
            "{loss}; the link goes on, and cannot be taken away"
        );
        let mut removal = pin!(self.wait_for_removal().fuse());
        let fault = {
            let mut fault = pin!(fault(course).fuse());
            select_biased! {
                () = removal => return Ok(()),
                fault = fault => fault,
            }
        };
        self.fail(course, &Failure::Misbehaviour(fault)).await
    }

    /// Looks at both states and does what follows from them.
    async fn step(&self, course: &mut Course<H>) -> Result<Step, Failure> {
        // Read anew each time: a wait that ended for another reason may have swallowed a change.
        course.backend = course
            .frontend
            .backend_state()
            .await
            .map_err(Failure::Store)?;
        let online = course.frontend.backend_online().await;
        let step = course.next_step(online);
        self.pv.trace.record(
            self.pv.hv.now(),
            "netfront state",
            u64::from(course.frontend.state().number()),
            course
                .backend
                .map_or(u64::MAX, |state| u64::from(state.number())),
        );
        self.take(course, step).await?;
        Ok(step)
    }

    async fn take(&self, course: &mut Course<H>, step: Step) -> Result<(), Failure> {
        match step {
            Step::Publish if !course.failed => self.publish(course).await?,
            Step::GoLive => self.go_live(course).await?,
            // Nothing is promised for what is on its way: a network loses packets.
            Step::Drain | Step::Abandon => self.close(course).await?,
            Step::Reset => self.reset(course).await?,
            Step::Restart if !course.failed => self.restart(course).await?,
            Step::Publish | Step::Restart | Step::Wait | Step::Reread => {
                // What is waited for will not come to nodes that were made anew meanwhile.
                if !course.live {
                    course.frontend.check().await.map_err(Failure::Store)?;
                }
                self.wait(course).await?;
            }
            Step::Vanished => {}
        }
        Ok(())
    }

    /// Waits for the backend.
    async fn wait(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let own = course.frontend.state();
        if own == XenbusState::Closed && course.backend == Some(XenbusState::Closed) {
            self.signals.settle();
        }
        let limit = match own {
            XenbusState::Closing => Some(RESET),
            XenbusState::Initialising | XenbusState::Initialised => Some(HANDSHAKE),
            XenbusState::Connected if !course.live => Some(HANDSHAKE),
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
        match self.seen(course).await? {
            Seen::Backend(state) => course.backend = state,
            Seen::Deadline if own == XenbusState::Closing => self.close(course).await?,
            Seen::Deadline => {
                let state = course.backend.unwrap_or(XenbusState::Unknown);
                let text = format_args!("the backend does not connect: it is {state}");
                self.pv.log.limited(Level::Warn, &self.name, text);
                course.deadline = None;
                course.complained = true;
                self.signals.settle();
            }
            Seen::Fault(fault) => return Err(Failure::Misbehaviour(fault)),
            Seen::Carrier(watched) => self.look_at_carrier(course, watched).await,
            Seen::Removed => {}
        }
        Ok(())
    }

    /// Waits until the backend's state may have changed, it misbehaves, the device is removed, or
    /// the deadline comes.
    async fn seen(&self, course: &Course<H>) -> Result<Seen, Failure> {
        if self.signals.removed.get() {
            return Ok(Seen::Removed);
        }
        let mut backend = pin!(course.watch.next().fuse());
        let mut sleep = pin!(self.sleep_until(course.deadline).fuse());
        let mut fault = pin!(fault(course).fuse());
        let mut carrier = pin!(carrier(course).fuse());
        let mut removal = pin!(self.signals.removal.notified().fuse());
        select_biased! {
            () = removal => Ok(Seen::Removed),
            fault = fault => Ok(Seen::Fault(fault)),
            state = backend => state.map(Seen::Backend).map_err(Failure::Store),
            watched = carrier => Ok(Seen::Carrier(watched)),
            () = sleep => Ok(Seen::Deadline),
        }
    }

    async fn sleep_until(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.pv.exec.sleep_until(deadline).await,
            None => pending().await,
        }
    }

    /// The backend's carrier may have come or gone. A link is of use without knowing.
    async fn look_at_carrier(&self, course: &mut Course<H>, watched: bool) {
        if !watched {
            course.carrier = None;
            return;
        }
        let up = keys::carrier(&course.frontend).await;
        if let Some(up) = up
            && let Some((connection, _)) = &course.connection
        {
            if connection.carrier() != up {
                let text = format_args!("the carrier is {}", if up { "there" } else { "gone" });
                self.pv.log.limited(Level::Info, &self.name, text);
            }
            connection.set_carrier(up);
        }
    }

    /// Lets go of the connection and says so.
    async fn close(&self, course: &mut Course<H>) -> Result<(), Failure> {
        course.leave();
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
        self.pv.log.limited(Level::Info, &self.name, text);
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
            match self.seen(course).await? {
                Seen::Backend(state) => course.backend = state,
                Seen::Removed => return Ok(()),
                Seen::Deadline | Seen::Fault(_) | Seen::Carrier(_) => break,
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
        course.leave();
        course
            .frontend
            .fatal(&self.name, &failure.to_string())
            .await;
        course.deadline = Some(self.pv.exec.now().after(RESET));
        self.signals.settle();
        Ok(())
    }

    /// Tells that the toolstack has taken the device away.
    pub(crate) fn say_removed(&self) {
        self.events.push(Event::Removed(self.name.clone()));
    }
}

/// What the backend does that no backend may do; never, if there are no rings.
async fn fault<H: Hypervisor>(course: &Course<H>) -> Misbehaviour {
    match &course.connection {
        Some((connection, _)) => connection.fault().await,
        None => pending().await,
    }
}

/// The backend's carrier may have changed, or (`false`) can no longer be watched; never, if it is
/// not.
async fn carrier<H: Hypervisor>(course: &Course<H>) -> bool {
    match &course.carrier {
        Some(watch) => watch.changed().await.is_ok(),
        None => pending().await,
    }
}
