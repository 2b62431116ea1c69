//! A guest that runs the shipped code: `pv` and the xenstore client, and what a test spawns on them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hv::{DomId, Hypervisor};
use pv::Pv;
use xenbus::Store;

use crate::{Dom, DomainConfig, Stop, Toolstack, World};

/// How long a test waits for what should happen at once.
const PATIENCE: Duration = Duration::from_secs(600);

/// A guest with `pv` and a connection to xenstore, run by the world's scheduler.
pub struct Guest {
    /// Its domain.
    pub dom: Dom,
    /// What its drivers are given.
    pub pv: Pv<Dom>,
    /// Its xenstore client.
    pub store: Store,
}

impl Guest {
    /// Creates the domain and starts it.
    #[must_use]
    pub fn start(world: &World, toolstack: &Toolstack, id: DomId, config: DomainConfig) -> Self {
        let dom = toolstack.create_domain(id, "guest", config);
        let pv = Pv::new(dom.clone());
        let store = Store::start(&pv);
        let running = pv.clone();
        world.run_domain(&dom, move || {
            running.events.dispatch();
            running.exec.turn(running.hv.now());
            running.exec.next_deadline()
        });
        Self { dom, pv, store }
    }

    /// Runs the world until `future`, a task of this guest, is done.
    ///
    /// # Errors
    /// Why it did not come to an end.
    ///
    /// # Panics
    /// Never: the future's result is there when it is done.
    pub fn run<T: 'static>(
        &self,
        world: &World,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, Stop> {
        let result = Rc::new(RefCell::new(None));
        let slot = result.clone();
        self.pv.exec.spawn("test", async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        world.wake_domain(self.dom.id());
        world.run_until(|_| result.borrow().is_some(), PATIENCE)?;
        Ok(result.borrow_mut().take().expect("the future is done"))
    }
}
