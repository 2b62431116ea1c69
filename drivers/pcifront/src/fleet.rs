//! The functions that are there now, and their drivers' tasks.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;

use exec::{Level, Notify};
use hv::Hypervisor;
use pv::Pv;

use crate::bar::Claims;
use crate::connection::Connection;
use crate::driver::FunctionDriver;
use crate::{Address, Failure, Function, Seen};

/// How often a function is asked what it is, if the backend does not answer in time.
const TRIES: u32 = 3;
/// How long a driver may take to leave its function.
const LEAVE: Duration = Duration::from_secs(5);

/// The functions.
pub(crate) struct Fleet<H: Hypervisor> {
    pv: Pv<H>,
    drivers: Vec<Box<dyn FunctionDriver<H>>>,
    claims: Rc<Claims>,
    members: Rc<RefCell<Vec<Member<H>>>>,
    /// Where functions have failed that the backend has not taken away yet.
    failed: RefCell<Vec<Address>>,
    /// A driver has ended.
    ended: Rc<Notify>,
}

struct Member<H: Hypervisor> {
    function: Function<H>,
    driver: Option<&'static str>,
    /// The driver is at work.
    running: Rc<Cell<bool>>,
}

impl<H: Hypervisor> Member<H> {
    /// The function is gone, and its driver has not ended.
    fn is_leaving(&self) -> bool {
        self.function.is_gone() && self.running.get()
    }

    /// The function is gone, and nobody is at work on it.
    fn is_left(&self) -> bool {
        self.function.is_gone() && !self.running.get()
    }
}

impl<H: Hypervisor> Fleet<H> {
    pub(crate) fn new(pv: &Pv<H>, drivers: Vec<Box<dyn FunctionDriver<H>>>) -> Rc<Self> {
        Rc::new(Self {
            pv: pv.clone(),
            drivers,
            claims: Rc::default(),
            members: Rc::default(),
            failed: RefCell::default(),
            ended: Rc::default(),
        })
    }

    /// Adds those that are new at these places, and starts their drivers.
    pub(crate) async fn add(
        &self,
        connection: &Rc<Connection<H>>,
        present: &[Address],
    ) -> Result<(), Failure> {
        // Those of a former connection are not among them.
        self.remove(&[]).await;
        self.failed.borrow_mut().retain(|at| present.contains(at));
        for address in present {
            if self.has(*address) || self.failed.borrow().contains(address) {
                continue;
            }
            let find = || Function::find(&self.pv, connection, &self.claims, *address);
            let mut found = find().await;
            // A backend that is slow once is no reason to go without this function.
            for _ in 1..TRIES {
                if !matches!(found, Err(Failure::TimedOut)) {
                    break;
                }
                found = find().await;
            }
            match found {
                Ok(Some(function)) => self.start(function),
                Ok(None) => self.say(*address, "nobody answers there"),
                Err(Failure::Gone) => return Err(Failure::Gone),
                Err(failure) => self.say(*address, &failure.to_string()),
            }
        }
        Ok(())
    }

    fn say(&self, address: Address, text: &str) {
        let name = address.to_string();
        let text = format_args!("{text}");
        self.pv.log.limited(Level::Warn, &name, text);
    }

    fn start(&self, function: Function<H>) {
        let id = function.id();
        let driver = self.drivers.iter().find(|driver| driver.takes(&id));
        let running = Rc::new(Cell::new(driver.is_some()));
        let name = function.address().to_string();
        match driver {
            Some(driver) => exec::info!(self.pv.log, &name, "{}: {id}", driver.name()),
            None => exec::info!(self.pv.log, &name, "no driver: {id}"),
        }
        self.members.borrow_mut().push(Member {
            function: function.clone(),
            driver: driver.map(|driver| driver.name()),
            running: running.clone(),
        });
        if let Some(driver) = driver {
            let driving = driver.start(function.clone());
            let (members, ended) = (self.members.clone(), self.ended.clone());
            self.pv.exec.spawn("pci function", async move {
                driving.await;
                function.disarm().await;
                running.set(false);
                ended.notify();
                // Nobody looks after those of a connection that is over.
                let over = |member: &Member<H>| member.function.is_over() && !member.running.get();
                members.borrow_mut().retain(|member| !over(member));
            });
        }
    }

    fn has(&self, address: Address) -> bool {
        let members = self.members.borrow();
        members
            .iter()
            .any(|member| member.function.address() == address)
    }

    /// Has the function at that place leave that has failed. It is none to be driven before the
    /// backend has taken it away.
    pub(crate) fn fail(&self, function: &Function<H>) {
        let mut failed = self.failed.borrow_mut();
        if !failed.contains(&function.address()) {
            failed.push(function.address());
        }
        function.remove();
    }

    /// Has those leave that are at these places, and waits for their drivers, at most 5 s.
    pub(crate) async fn remove(&self, leaving: &[Address]) {
        self.dismiss(|function| leaving.contains(&function.address()));
        self.failed.borrow_mut().retain(|at| !leaving.contains(at));
        // One that fails meanwhile has its own time.
        let dismissed = self.driven(&|_| true);
        let are_dismissed = |function: &Function<H>| dismissed.iter().any(|one| one.is(function));
        let settled = async {
            while !self.driven(&are_dismissed).is_empty() {
                self.ended.notified().await;
            }
        };
        if self.pv.exec.timeout(LEAVE, settled).await.is_err() {
            for function in self.driven(&are_dismissed) {
                self.say(function.address(), "the driver does not leave");
                function.disarm().await;
                self.forget(|member| member.function.is(&function));
            }
        }
        self.forget(|_| false);
    }

    /// Those of these functions that are gone, and whose drivers have not ended.
    fn driven(&self, which: &dyn Fn(&Function<H>) -> bool) -> Vec<Function<H>> {
        let members = self.members.borrow();
        let driven = members.iter();
        let driven = driven.filter(|member| member.is_leaving() && which(&member.function));
        driven.map(|member| member.function.clone()).collect()
    }

    /// Tells the drivers of all that they are gone. Allocates nothing.
    pub(crate) fn dismiss_all(&self) {
        self.failed.borrow_mut().clear();
        self.dismiss(|_| true);
        self.forget(|_| false);
    }

    fn dismiss(&self, which: impl Fn(&Function<H>) -> bool) {
        for member in self.members.borrow().iter() {
            if which(&member.function) {
                member.function.remove();
            }
        }
    }

    /// Whether every driver has ended whose function is gone.
    pub(crate) fn is_settled(&self) -> bool {
        !self.members.borrow().iter().any(Member::is_leaving)
    }

    /// Waits until a driver has ended. For one waiting task.
    pub(crate) async fn driver_ended(&self) {
        self.ended.notified().await;
    }

    /// Forgets those that are gone and whose drivers have ended, and those that are `late`.
    fn forget(&self, late: impl Fn(&Member<H>) -> bool) {
        self.members.borrow_mut().retain(|member| {
            let goes = member.is_left() || late(member);
            if goes {
                member.function.disown();
            }
            !goes
        });
    }

    /// The function at that place, which may be gone.
    pub(crate) fn at(&self, address: Address) -> Option<Function<H>> {
        let members = self.members.borrow();
        let mut functions = members.iter().map(|member| &member.function);
        functions
            .find(|function| function.address() == address)
            .cloned()
    }

    /// What there is, as the shell shows it.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let members = self.members.borrow();
        let seen = members.iter().map(|member| Seen {
            address: member.function.address(),
            id: member.function.id(),
            driver: member.driver.filter(|_| member.running.get()),
            way: member.function.way(),
        });
        seen.collect()
    }
}
