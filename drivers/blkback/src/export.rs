//! One export from its appearance to its removal.
//!
//! What to do next follows from both ends' xenbus states ([`xenbus::state::next_back_step`]); this
//! task does it. Whatever it waits for, the frontend's rings are served meanwhile.

mod opening;

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::cell::RefCell;
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use exec::{Heeding, Level};
use futures_util::{FutureExt, select_biased};
use hv::{DomId, Hypervisor, Instant};
use iobuf::Copies;
use pv::Pv;
use xenbus::key::report;
use xenbus::routes::BackendRoutes;
use xenbus::state::{BackStep, XenbusState, next_back_step};
use xenbus::{Backend, Store};

use crate::claim::Ours;
use crate::failure::Failure;
use crate::former::Formers;
use crate::keys::Wanted;
use crate::link::Link;
use crate::medium::{Medium, Providers};
use crate::offer::{features, properties};
use crate::request::Terms;
use crate::share::Sharing;
use crate::signals::Signals;
use crate::target::Declarations;

/// How long a frontend may take to close when it is asked to, and how long requests that GEOM has
/// are awaited when it does. libxl gives up at 10 s.
const DRAIN: Duration = Duration::from_secs(5);

/// How often it is looked whether another run loop has let go of a connection of before.
const FORMER_LOOK: Duration = Duration::from_millis(5);

/// How often it is looked whether a frontend that closes has closed its ports.
const PORTS_LOOK: Duration = Duration::from_secs(1);

/// One export.
pub(crate) struct Export<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    pub(crate) providers: Providers,
    pub(crate) copies: Copies<H>,
    pub(crate) sharing: Rc<Sharing>,
    /// What may be exported.
    pub(crate) declarations: Rc<Declarations>,
    /// Which of it is served here, where others of the same domain serve exports too.
    pub(crate) ours: Option<Rc<Ours>>,
    pub(crate) signals: Rc<Signals>,
    /// Connections that have ended.
    pub(crate) formers: Formers<H>,
    /// `blkback 0/51824`: who the log is about.
    pub(crate) name: String,
}

/// Why an export is served here no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its nodes are gone, or nothing can be done for it any more.
    Removed,
    /// It is of another provider now, which may be another run loop's to serve.
    Elsewhere,
}

/// What an export's task knows besides the store.
struct Course<H: Hypervisor> {
    backend: Backend,
    /// From InitWait on: what is exported, and what its requests are held to.
    opened: Option<(Rc<Medium>, Terms)>,
    link: Option<Rc<RefCell<Link<H>>>>,
    /// The provider is gone; nothing more is to be heard of it.
    lost: bool,
    /// When the frontend must have closed.
    deadline: Option<Instant>,
    /// It is not offered again until the toolstack makes it anew.
    failed: bool,
}

/// What ended a wait.
enum Seen {
    /// One of the two ends in the store, or what the bus or the domain want.
    Changed,
    /// The provider.
    Medium,
    Deadline,
}

impl<H: Hypervisor> Export<H> {
    /// Serves the export until its nodes are gone, or it is not to be served here any more.
    pub(crate) async fn run(&self, store: &Store, routes: &BackendRoutes) -> Ending {
        let Signals {
            frontend, device, ..
        } = *self.signals;
        match Backend::open(store, routes, "vbd", frontend, device).await {
            Ok(backend) => {
                let course = Course {
                    backend,
                    opened: None,
                    link: None,
                    lost: false,
                    deadline: None,
                    failed: false,
                };
                if self.follow(course).await == Ending::Elsewhere {
                    return Ending::Elsewhere;
                }
            }
            Err(error) => {
                let path = alloc::format!("backend/vbd/{frontend}/{device}");
                report(store, &path, &self.name, &error.to_string()).await;
                self.signals.closed.set(true);
                while !self.signals.removed.get() {
                    self.signals.changed.notified().await;
                }
            }
        }
        self.signals.closed.set(true);
        Ending::Removed
    }

    /// Follows the two states until the export is removed, or another one's.
    async fn follow(&self, mut course: Course<H>) -> Ending {
        while !self.signals.removed.get() {
            match self.step(&mut course).await {
                Ok(BackStep::Finish) => break,
                Ok(_) => {}
                Err(failure) if failure.is_removal() => break,
                // Nobody is connected when it is opened.
                Err(Failure::Elsewhere) => return Ending::Elsewhere,
                // Nothing can be heard or said any more. What is connected is served on.
                Err(failure) if failure.is_loss() => {
                    exec::error!(self.pv.log, &self.name, "{failure}; served on as it is");
                    self.serve_on(&mut course).await;
                    return Ending::Removed;
                }
                Err(failure) => self.fail(&mut course, &failure).await,
            }
        }
        // The toolstack has forgotten the device, but its frontend may not have heard of that.
        if self.drain(&mut course).await.is_ok() {
            self.retire(&mut course);
        }
        Ending::Removed
    }

    /// Looks at both ends and does what follows from them.
    async fn step(&self, course: &mut Course<H>) -> Result<BackStep, Failure> {
        let Course { backend, link, .. } = course;
        let looked = self.beside(link, backend.look()).await??;
        self.signals.state.set(looked.own);
        let step = next_back_step(looked.own, looked.frontend, looked.online);
        let overdue = course
            .deadline
            .is_some_and(|deadline| deadline <= self.pv.exec.now());
        let let_go = looked.own == XenbusState::Closing
            && link.as_ref().is_some_and(|link| link.borrow().is_let_go());
        match step {
            BackStep::Offer | BackStep::Reopen if course.failed || self.signals.closing.get() => {
                self.signals.closed.set(true);
                self.wait(course).await?;
            }
            BackStep::Connect | BackStep::Wait | BackStep::Serve
                if self.signals.closing.get()
                    && looked.own != XenbusState::Closed
                    && course.deadline.is_none() =>
            {
                self.close(course, "this domain ends").await?;
            }
            BackStep::Connect if course.failed => self.wait(course).await?,
            BackStep::Offer | BackStep::Reopen => self.offer(course).await?,
            BackStep::Connect => self.connect(course).await?,
            BackStep::Wait | BackStep::Serve if overdue => self.disconnect(course, false).await?,
            // Linux's frontend, where it has failed, says Closing and nothing more.
            BackStep::Wait if let_go => self.disconnect(course, true).await?,
            BackStep::Wait | BackStep::Serve => self.wait(course).await?,
            BackStep::Close => {
                let closing = backend.set_state(XenbusState::Closing);
                self.beside(link, closing).await??;
            }
            BackStep::Disconnect => self.disconnect(course, looked.frontend.is_some()).await?,
            BackStep::Finish => course.backend.remove().await?,
        }
        Ok(step)
    }

    fn key(&self) -> (DomId, u32) {
        (self.signals.frontend, self.signals.device)
    }

    /// Serves the rings while something else is awaited.
    async fn beside<T>(
        &self,
        link: &Option<Rc<RefCell<Link<H>>>>,
        awaited: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        // It is not looked at with each request that the rings bring.
        let awaited = pin!(awaited);
        let mut awaited = Heeding::new(awaited);
        poll_fn(|context| {
            if let Some(link) = link
                && let Poll::Ready(fault) = link.borrow_mut().poll(context)
            {
                return Poll::Ready(Err(Failure::Misbehaviour(fault)));
            }
            Pin::new(&mut awaited).poll(context).map(Ok)
        })
        .await
    }

    /// Serves the rings until there is something to look at.
    async fn wait(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let Course {
            backend,
            opened,
            link,
            deadline,
            lost,
            ..
        } = course;
        let medium = opened.as_ref().filter(|_| !*lost);
        let medium = medium.map(|(medium, _)| medium.clone());
        let mut until = *deadline;
        if backend.state() == XenbusState::Closing && link.is_some() {
            let look = self.pv.exec.now().after(PORTS_LOOK);
            until = Some(until.map_or(look, |until| until.min(look)));
        }
        let seen = async {
            let mut changed = pin!(backend.changed().fuse());
            let mut told = pin!(self.signals.changed.notified().fuse());
            let mut medium = pin!(medium_changed(medium.as_deref()).fuse());
            let mut sleep = pin!(self.sleep_until(until).fuse());
            select_biased! {
                () = told => Ok(Seen::Changed),
                changed = changed => changed.map(|()| Seen::Changed),
                () = medium => Ok(Seen::Medium),
                () = sleep => Ok(Seen::Deadline),
            }
        };
        match self.beside(link, seen).await?? {
            Seen::Changed | Seen::Deadline => Ok(()),
            Seen::Medium => self.medium_changed(course).await,
        }
    }

    async fn sleep_until(&self, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => self.pv.exec.sleep_until(deadline).await,
            None => pending().await,
        }
    }

    /// The provider is lost, or has another size.
    async fn medium_changed(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let Some((medium, terms)) = &course.opened else {
            return Ok(());
        };
        if medium.error().is_some() {
            course.lost = true;
            let provider = medium.name().to_string();
            if course.backend.state() == XenbusState::InitWait {
                // Nobody has connected. It is offered again when the toolstack makes it anew.
                course.opened = None;
                course.failed = true;
                let text = alloc::format!("provider {provider} is gone");
                course.backend.refuse(&self.name, &text).await;
                return Ok(());
            }
            return self
                .close(course, &alloc::format!("provider {provider} is gone"))
                .await;
        }
        if course.backend.state() != XenbusState::Connected {
            return Ok(());
        }
        let keys = properties(medium, terms);
        let (name, size) = (medium.name(), medium.media_size());
        self.say(format_args!("{name} has {size} bytes now"));
        // The frontend reads them when it sees Connected once more (blkif.h, "sectors").
        let Course { backend, link, .. } = course;
        let said = backend.publish(&keys, XenbusState::Connected);
        Ok(self.beside(link, said).await??)
    }

    /// Whatever is said here can be caused by peers, again and again.
    fn say(&self, text: fmt::Arguments<'_>) {
        self.pv.log.limited(Level::Info, &self.name, text);
    }

    /// Asks the frontend to close; it is served until it does, or until the deadline.
    async fn close(&self, course: &mut Course<H>, why: &str) -> Result<(), Failure> {
        if course.deadline.is_none() {
            self.say(format_args!("closing: {why}"));
            course.deadline = Some(self.pv.exec.now().after(DRAIN));
        }
        let Course { backend, link, .. } = course;
        let said = backend.set_state(XenbusState::Closing);
        Ok(self.beside(link, said).await??)
    }

    /// Publishes what is offered.
    async fn offer(&self, course: &mut Course<H>) -> Result<(), Failure> {
        course.deadline = None;
        if course.opened.is_none() {
            course.opened = self.open(course).await?;
        }
        let Some((medium, terms)) = &course.opened else {
            return Ok(());
        };
        course.backend.check_room().await?;
        let keys = features(medium, terms);
        let said = course.backend.publish(&keys, XenbusState::InitWait);
        Ok(said.await?)
    }

    /// Maps what the frontend published, and says so.
    async fn connect(&self, course: &mut Course<H>) -> Result<(), Failure> {
        // There is one: what was lost while nobody was connected is not connected to (`failed`).
        let Some((medium, terms)) = &course.opened else {
            return self.offer(course).await;
        };
        while self.formers.end(self.key()) {
            self.pv.exec.sleep(FORMER_LOOK).await;
        }
        let backend = &course.backend;
        let wanted = Wanted::read(backend).await.map_err(Failure::Keys)?;
        let link = Link::connect(
            (&self.pv, &self.copies),
            (backend.frontend_domain(), &self.name),
            medium,
            *terms,
            &wanted,
            &self.signals.statistics,
            (&self.sharing.of_disk(medium.disk()), &self.sharing.cpu),
        )?;
        let keys = properties(medium, terms);
        let size = medium.media_size();
        let text = alloc::format!(
            "{}: {size} bytes, {}-byte sectors{}, {} queues of {} pages",
            medium.name(),
            terms.sector_size,
            if terms.read_only { ", read-only" } else { "" },
            wanted.queues.len(),
            wanted.queues.first().map_or(0, |q| q.references.len()),
        );
        let link = Rc::new(RefCell::new(link));
        self.signals.set_last_words(&link);
        course.link = Some(link);
        let said = course.backend.publish(&keys, XenbusState::Connected);
        self.beside(&course.link, said).await??;
        self.say(format_args!("{text}"));
        Ok(())
    }

    /// Lets go of the frontend: answers what it asked for, gives GEOM its provider back. Whether
    /// the frontend itself `said` that it is done.
    async fn disconnect(&self, course: &mut Course<H>, said: bool) -> Result<(), Failure> {
        let Course { backend, link, .. } = course;
        let closing = backend.set_state(XenbusState::Closing);
        self.beside(link, closing).await??;
        self.drain(course).await?;
        if said
            && link_is_idle(course)
            && let Some(link) = course.link.take()
        {
            // Most frontends free their rings when they see Closed.
            drop(link.borrow_mut().retire());
        }
        self.retire(course);
        course.backend.set_state(XenbusState::Closed).await?;
        self.signals.state.set(XenbusState::Closed);
        Ok(())
    }

    /// Ends the connection, if there is one: what the frontend still asks for is answered with
    /// errors, until it has closed its ports.
    fn retire(&self, course: &mut Course<H>) {
        if let Some(link) = course.link.take() {
            let queues = link.borrow_mut().retire();
            self.formers.see_off(&self.pv, self.key(), queues);
        }
        course.opened = None;
        course.lost = false;
        course.deadline = None;
    }

    /// Waits for GEOM to complete what it has, at most for [`DRAIN`].
    async fn drain(&self, course: &mut Course<H>) -> Result<(), Failure> {
        let limit = self.pv.exec.now().after(DRAIN);
        while course
            .link
            .as_ref()
            .is_some_and(|link| link.borrow().outstanding() > 0)
        {
            if self.pv.exec.now() >= limit {
                let text =
                    format_args!("requests are still under way below; their pages are let go");
                self.pv.log.limited(Level::Warn, &self.name, text);
                return Ok(());
            }
            let pause = self.pv.exec.sleep(Duration::from_millis(5));
            self.beside(&course.link, pause).await?;
        }
        Ok(())
    }

    /// Ends the export for good, until the toolstack makes it anew.
    async fn fail(&self, course: &mut Course<H>, failure: &Failure) {
        course.failed = true;
        if matches!(failure, Failure::Misbehaviour(_)) {
            // Its rings make no sense any more.
            course.link = None;
        }
        self.retire(course);
        course
            .backend
            .refuse(&self.name, &failure.to_string())
            .await;
        if course.backend.state() == XenbusState::Initialising {
            return;
        }
        for state in [XenbusState::Closing, XenbusState::Closed] {
            if let Err(error) = course.backend.set_state(state).await {
                self.pv
                    .log
                    .limited(Level::Warn, &self.name, format_args!("{error}"));
                return;
            }
        }
    }

    /// Serves the rings until the domain ends.
    async fn serve_on(&self, course: &mut Course<H>) {
        let closing = async {
            while !self.signals.closing.get() {
                self.signals.changed.notified().await;
            }
        };
        let served = self.beside(&course.link, closing).await;
        let drained = match served {
            Ok(()) => self.drain(course).await,
            Err(failure) => Err(failure),
        };
        match drained {
            Ok(()) => self.retire(course),
            Err(failure) => exec::error!(self.pv.log, &self.name, "{failure}"),
        }
    }
}

fn link_is_idle<H: Hypervisor>(course: &Course<H>) -> bool {
    let link = course.link.as_ref();
    link.is_some_and(|link| link.borrow().is_idle())
}

async fn medium_changed(medium: Option<&Medium>) {
    match medium {
        Some(medium) => medium.changed().await,
        None => pending().await,
    }
}
