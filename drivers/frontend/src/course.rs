//! What a device's task knows besides the store.

use alloc::boxed::Box;
use core::time::Duration;

use hv::Instant;
use xenbus::state::{Step, XenbusState, next_step};
use xenbus::{BackendWatch, Frontend};

use crate::driver::Driver;

/// How far the way to a connection is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    None,
    /// The backend knows where the rings are.
    Published,
    /// It serves them.
    Live,
}

pub(crate) struct Course {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) frontend: Frontend,
    pub(crate) watch: BackendWatch,
    pub(crate) connection: Connection,
    /// The backend's state as last heard of.
    pub(crate) backend: Option<XenbusState>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) connected_at: Option<Instant>,
    /// Before the next connection, if this one does not last.
    pub(crate) pause: Duration,
    /// Who uses it waits for a connection in the domain's new life.
    pub(crate) lost: bool,
    /// It failed for a reason that a new connection would not mend.
    pub(crate) failed: bool,
    /// The backend was complained of for not connecting.
    pub(crate) complained: bool,
}

impl Course {
    pub(crate) fn new(driver: Box<dyn Driver>, frontend: Frontend, watch: BackendWatch) -> Self {
        Self {
            driver,
            frontend,
            watch,
            connection: Connection::None,
            backend: None,
            deadline: None,
            connected_at: None,
            pause: Duration::ZERO,
            lost: false,
            failed: false,
            complained: false,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.connection == Connection::Live
    }

    /// Whether the device is of use without the store.
    pub(crate) fn is_open(&self) -> bool {
        self.is_live() && self.driver.is_open()
    }

    /// Whether the backend's nodes are gone.
    pub(crate) async fn has_no_backend(&self) -> bool {
        self.frontend.backend_state().await == Ok(None)
    }

    /// What to do next.
    pub(crate) fn next_step(&self, online: bool) -> Step {
        let own = match (self.frontend.state(), self.connection) {
            // A network backend connects to a frontend that is Connected, so that does not mean yet
            // that the backend is.
            (XenbusState::Connected, Connection::Published) => XenbusState::Initialised,
            (own, _) => own,
        };
        match next_step(own, self.backend, online) {
            // There is nothing to give up, and who makes both ends anew makes this one so.
            Step::Vanished if own == XenbusState::Initialising => Step::Wait,
            step => step,
        }
    }

    /// Ends the connection, if there is one, or there was in a former life of the domain.
    pub(crate) fn leave(&mut self) {
        let lost = core::mem::take(&mut self.lost);
        if lost || self.connection != Connection::None {
            self.connection = Connection::None;
            self.driver.leave();
        }
    }

    /// The connection is of a former life of the domain.
    pub(crate) fn lose(&mut self) {
        if self.connection != Connection::None {
            self.connection = Connection::None;
            self.lost = true;
            self.driver.lose();
        }
    }

    /// The device's nodes are those of the domain's new life.
    pub(crate) fn begin_anew(&mut self, frontend: Frontend, watch: BackendWatch) {
        self.frontend = frontend;
        self.watch = watch;
        self.backend = None;
        self.deadline = None;
        self.connected_at = None;
        self.pause = Duration::ZERO;
        self.failed = false;
        self.complained = false;
    }
}
