//! A guest with one device, and the store in which the test plays its backend.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use frontend::{Bus, Kind};
use hv::{DomId, Instant};
use sim::{DomainConfig, Guest, Toolstack, Vif, VifConfig, World};

use crate::driver::{Knobs, Plains};

const VIF: Vif = Vif {
    guest: DomId(1),
    backend: DomId(0),
    devid: 3,
};
/// Where the toolstack makes devices; nothing else of a vif is used.
const KIND: Kind = Kind {
    node: "vif",
    part: "plain",
    what: "the thing",
    cannot: "moved",
};
/// The store has answered everything by then.
const MOMENT: Duration = Duration::from_millis(5);

pub(crate) struct Stage {
    pub(crate) knobs: Rc<Knobs>,
    settled: Rc<RefCell<Option<()>>>,
    toolstack: Toolstack,
    guest: Guest,
    world: World,
}

impl Stage {
    /// A device that was just made.
    pub(crate) fn new() -> Self {
        Self::found("1", "1")
    }

    /// A device whose ends are found in these states.
    pub(crate) fn found(own: &str, backend: &str) -> Self {
        let world = World::new(7);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, VIF.guest, DomainConfig::default());
        toolstack.create_vif(&VIF, &VifConfig::default());
        let store = toolstack.store();
        store.write(&format!("{}/state", VIF.frontend_path()), own);
        store.write(&format!("{}/state", VIF.backend_path()), backend);
        let knobs = Knobs::new();
        let bus = Bus::start(&guest.store, KIND, Plains(knobs.clone()));
        let settled = guest.spawn(&world, async move { bus.settled().await });
        let this = Self {
            knobs,
            settled,
            toolstack,
            guest,
            world,
        };
        this.pass(MOMENT);
        this
    }

    /// A device in use.
    pub(crate) fn live() -> Self {
        let this = Self::new();
        for state in ["2", "4"] {
            this.backend(state);
        }
        assert_eq!(this.calls(), ["make", "publish", "go live"]);
        this
    }

    /// The backend goes to a state.
    pub(crate) fn backend(&self, state: &str) {
        let path = format!("{}/state", VIF.backend_path());
        self.toolstack.store().write(&path, state);
        self.pass(MOMENT);
    }

    pub(crate) fn own_state(&self) -> String {
        let path = format!("{}/state", VIF.frontend_path());
        self.toolstack.store().read(&path).unwrap()
    }

    /// What the device reported.
    pub(crate) fn error(&self) -> String {
        let path = VIF.frontend_path().replace("/device/", "/error/device/");
        let store = self.toolstack.store();
        store.read(&format!("{path}/error")).unwrap_or_default()
    }

    /// The toolstack takes the device away by force.
    pub(crate) fn remove(&self) {
        for path in [VIF.frontend_path(), VIF.backend_path()] {
            self.toolstack.store().remove(&path);
        }
        self.pass(MOMENT);
    }

    /// The toolstack makes the device anew, over what is there.
    pub(crate) fn make(&self) {
        self.toolstack.create_vif(&VIF, &VifConfig::default());
    }

    pub(crate) fn lose_the_store(&self) {
        self.toolstack.store().break_off(VIF.guest);
        self.pass(MOMENT);
    }

    /// Has the device look at its backend, and the store not answer all that it asks.
    pub(crate) fn ask_a_silent_store(&self) {
        let store = self.toolstack.store();
        let answered = store.requests();
        store.write(&format!("{}/state", VIF.backend_path()), "4");
        let heard = self
            .world
            .run_until(|_| store.requests() > answered, MOMENT);
        heard.unwrap();
        store.set_silent(true);
    }

    /// The store does not answer, or does again.
    pub(crate) fn silence(&self, silent: bool) {
        self.toolstack.store().set_silent(silent);
    }

    /// No transaction of anybody's is carried out.
    pub(crate) fn refuse_commits(&self) {
        self.toolstack.store().refuse_commits(u32::MAX);
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.world.wake_domain(VIF.guest);
        self.world.run_for(time.max(MOMENT)).unwrap();
        assert_eq!(self.world.violations(), Vec::<String>::new());
    }

    pub(crate) fn now(&self) -> Instant {
        self.world.now()
    }

    /// What the driver was asked since the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.knobs.calls.take()
    }

    /// Whether nobody waits for the device any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.borrow().is_some()
    }

    pub(crate) fn logged(&self, text: &str) -> usize {
        self.guest.log_lines(text)
    }
}
