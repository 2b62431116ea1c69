//! One device from its appearance to its removal.
//!
//! What to do next follows from both ends' xenbus states and from whether the connection is live
//! ([`xenbus::state::next_step`]); this task does it. It never waits without also looking at the
//! backend's state, at whether the toolstack has taken the device away, and at what its driver has
//! to do.

mod opening;
mod waiting;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::time::Duration;

use exec::{Executor, Level, Log};
use hv::Instant;
use xenbus::Store;
use xenbus::state::{Step, XenbusState};

use crate::bus::Kind;
use crate::course::{Connection, Course};
use crate::driver::{Driver, Published, beside};
use crate::failure::Failure;
use crate::signals::Signals;

/// How long outstanding work is awaited once the backend is Closing. libxl gives up at 10 s.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a backend may take for its part of a handshake before it is complained of.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a backend that serves a former life of this domain may take to let go of it.
const RESET: Duration = Duration::from_secs(5);
/// The pause before the second connection in a row that did not last; it doubles each time.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasted this long was a good one.
const LASTED: Duration = Duration::from_secs(30);

/// One device.
pub(crate) struct Device {
    pub(crate) store: Store,
    pub(crate) kind: Kind,
    pub(crate) number: u32,
    /// `xbd0`.
    pub(crate) name: String,
    pub(crate) signals: Rc<Signals>,
}

/// What ended a wait.
enum Seen {
    Backend(Option<XenbusState>),
    Removed,
    Drained,
    Deadline,
}

impl Device {
    /// Serves the device until the toolstack has taken it away.
    pub(crate) async fn run(&self, driver: Box<dyn Driver>) {
        if let Some((frontend, watch)) = self.opened_in_this_life().await {
            let mut course = Course::new(driver, frontend, watch);
            let end = self.follow(&mut course).await;
            self.signals.hold.set_idle(true);
            course.leave();
            self.signals.settle();
            if let Err(failure) = end
                && !failure.is_removal()
            {
                exec::error!(self.log(), &self.name, "{failure}");
            }
            self.say_closed(&course.frontend).await;
        }
        self.signals.settle();
    }

    fn log(&self) -> &Log {
        self.store.log()
    }

    pub(crate) fn exec(&self) -> &Executor {
        self.store.exec()
    }

    pub(crate) fn after(&self, duration: Duration) -> Instant {
        self.exec().now().after(duration)
    }

    /// Follows the two states until the device is removed.
    async fn follow(&self, course: &mut Course) -> Result<(), Failure> {
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
                Err(Failure::Anew) => self.begin_anew(course).await?,
                // What was asked is asked again: each answer that does not come takes a minute.
                Err(failure) if failure.is_silence() => {
                    let what = self.kind.what;
                    let then = if course.is_live() { "goes on" } else { "waits" };
                    let text = format_args!("{failure}; {what} {then}");
                    self.log().limited(Level::Warn, &self.name, text);
                    self.signals.settle();
                }
                Err(failure) if failure.is_loss() && course.is_open() => {
                    self.go_on(course, &failure).await?;
                }
                Err(failure) if failure.is_loss() => return Err(failure),
                Err(Failure::Store(error)) => return Err(Failure::Store(error)),
                // Its backend went while its nodes were read: the next look sees to that.
                Err(failure) if failure.is_absence() && course.has_no_backend().await => {}
                Err(failure) => self.fail(course, &failure).await,
            }
        }
        Ok(())
    }

    /// Serves the device without the store: nothing is heard of the backend or of the toolstack any
    /// more, but nothing of that is needed for its work.
    async fn go_on(&self, course: &mut Course, loss: &Failure) -> Result<(), Failure> {
        let Kind { what, cannot, .. } = self.kind;
        exec::warn!(
            self.log(),
            &self.name,
            "{loss}; {what} goes on, and cannot be {cannot}"
        );
        let removal = self.wait_for_removal();
        if let Err(failure) = beside(&mut *course.driver, &course.frontend, removal).await {
            self.fail(course, &failure).await;
        }
        Ok(())
    }

    /// Looks at both states and does what follows from them.
    async fn step(&self, course: &mut Course) -> Result<Step, Failure> {
        let frontend = &course.frontend;
        // Read anew each time: a wait that ended for another reason may have swallowed a change.
        let looked = async {
            let backend = frontend.backend_state().await?;
            Ok((backend, frontend.backend_online().await?))
        };
        let looked = beside(&mut *course.driver, frontend, looked).await?;
        let (backend, online) = looked.map_err(Failure::Store)?;
        course.backend = backend;
        let step = course.next_step(online);
        let number = |state: XenbusState| u64::from(state.number());
        let (own, backend) = (course.frontend.state(), backend.map_or(u64::MAX, number));
        course.driver.trace(number(own), backend);
        self.take(course, step).await?;
        Ok(step)
    }

    async fn take(&self, course: &mut Course, step: Step) -> Result<(), Failure> {
        match step {
            Step::Publish if !course.failed => self.publish(course).await?,
            Step::GoLive if course.connection == Connection::Published => {
                self.go_live(course).await?;
            }
            Step::Drain => self.drain(course).await?,
            Step::Abandon => self.close(course).await?,
            Step::Reset => self.reset(course).await?,
            Step::Restart if !course.failed => self.restart(course).await?,
            Step::Publish
            | Step::GoLive
            | Step::Restart
            | Step::Wait
            | Step::Reread
            | Step::Reconfigure => {
                if course.is_live() {
                    let Course {
                        driver,
                        frontend,
                        backend,
                        ..
                    } = &mut *course;
                    match (step, *backend) {
                        (Step::Reread, _) => driver.reread(frontend).await?,
                        (Step::Reconfigure, Some(backend)) => {
                            driver.reconfigure(frontend, backend).await?;
                        }
                        _ => {}
                    }
                }
                // What is waited for will not come to nodes that were made anew meanwhile.
                if !course.is_live() {
                    course.frontend.check().await?;
                }
                self.wait(course).await?;
            }
            Step::Vanished => {}
        }
        Ok(())
    }

    /// Tells the backend where the rings are.
    async fn publish(&self, course: &mut Course) -> Result<(), Failure> {
        match course.driver.publish(&course.frontend).await? {
            Published::Rings => course.connection = Connection::Published,
            Published::PutOff => {
                self.signals.settle();
                course.deadline = Some(self.after(LONGEST_PAUSE));
                let seen = self.seen(course, false).await?;
                if let Seen::Backend(state) = seen {
                    course.backend = state;
                }
            }
        }
        course.deadline = None;
        Ok(())
    }

    /// The backend serves the rings: the device is of use.
    async fn go_live(&self, course: &mut Course) -> Result<(), Failure> {
        course.driver.go_live(&course.frontend).await?;
        course.connection = Connection::Live;
        course.lost = false;
        course.deadline = None;
        course.complained = false;
        course.connected_at = Some(self.exec().now());
        self.signals.settle();
        Ok(())
    }

    /// The backend wants to go: waits for what it still does, then lets it.
    async fn drain(&self, course: &mut Course) -> Result<(), Failure> {
        if course.connection == Connection::None {
            return self.close(course).await;
        }
        course.driver.refuse();
        course.deadline = Some(self.after(DRAIN));
        while course.backend == Some(XenbusState::Closing) {
            match self.seen(course, true).await? {
                Seen::Backend(state) => course.backend = state,
                Seen::Drained | Seen::Deadline | Seen::Removed => break,
            }
        }
        self.close(course).await
    }

    /// Lets go of the connection and says so.
    async fn close(&self, course: &mut Course) -> Result<(), Failure> {
        course.leave();
        course.deadline = None;
        if self.signals.removed.get() {
            return Ok(());
        }
        course.frontend.set_state(XenbusState::Closed).await?;
        self.signals.settle();
        Ok(())
    }

    /// The backend serves a former life of this domain: it is told that that life is over.
    async fn reset(&self, course: &mut Course) -> Result<(), Failure> {
        let text = format_args!("the backend is not new: its former connection is closed first");
        self.log().limited(Level::Info, &self.name, text);
        course.deadline = Some(self.after(RESET));
        course.frontend.set_state(XenbusState::Closing).await?;
        Ok(())
    }

    /// Begins a new connection; not at once if the last ones did not last, so that a backend that
    /// opens and closes for ever costs little.
    async fn restart(&self, course: &mut Course) -> Result<(), Failure> {
        let now = self.exec().now();
        let lasted = course
            .connected_at
            .take()
            .is_some_and(|since| now.since(since) >= LASTED);
        let pause = if lasted { Duration::ZERO } else { course.pause };
        course.pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        course.deadline = Some(now.after(pause));
        while !pause.is_zero() {
            match self.seen(course, false).await? {
                Seen::Backend(state) => course.backend = state,
                Seen::Deadline => break,
                Seen::Removed | Seen::Drained => return Ok(()),
            }
        }
        course.deadline = None;
        course.frontend.set_state(XenbusState::Initialising).await?;
        Ok(())
    }

    /// Ends the device for good, until the toolstack makes it anew.
    async fn fail(&self, course: &mut Course, failure: &Failure) {
        course.failed = true;
        course.leave();
        self.signals.settle();
        if self.signals.removed.get() {
            return;
        }
        let text = failure.to_string();
        course.frontend.fatal(&self.name, &text).await;
        course.deadline = Some(self.after(RESET));
    }
}
