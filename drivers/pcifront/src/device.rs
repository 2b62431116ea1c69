//! The frontend, as its task in [`frontend`] drives it.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::future::pending;
use core::pin::pin;

use exec::Level;
use frontend::{Doing, Driver, Failure, Published, beside};
use futures_util::{FutureExt, select_biased};
use hv::Hypervisor;
use pv::Pv;
use xenbus::Frontend;
use xenbus::state::XenbusState;

use crate::aer::{Kind, Report, Verdict};
use crate::connection::Connection;
use crate::fault::Fault;
use crate::fleet::Fleet;
use crate::list::List;

/// Pages that a backend may keep of former connections.
const KEPT: usize = 64;

/// The frontend's one device: all functions come by it.
pub(crate) struct Device<H: Hypervisor> {
    pub(crate) pv: Pv<H>,
    /// `pci0`.
    pub(crate) name: String,
    pub(crate) fleet: Rc<Fleet<H>>,
    /// The page, from its publishing on.
    pub(crate) connection: Option<Rc<Connection<H>>>,
}

impl<H: Hypervisor> Device<H> {
    async fn publish_page(&mut self, frontend: &Frontend) -> Result<Published, Failure> {
        let peer = frontend.backend_domain();
        // A backend that kept pages may have let go of them a moment ago.
        self.pv.grants.sweep();
        if self.pv.grants.parked_by(peer) > KEPT {
            let text = format_args!("the backend keeps the pages of former connections");
            self.pv.log.limited(Level::Warn, &self.name, text);
            return Ok(Published::PutOff);
        }
        let connection = Connection::new(&self.pv, peer)?;
        let keys = connection.keys();
        match frontend.publish(&keys, XenbusState::Initialised).await {
            Ok(()) => {
                self.connection = Some(connection);
                Ok(Published::Rings)
            }
            Err(error) => {
                connection.end();
                Err(error.into())
            }
        }
    }

    /// Looks for functions that are new.
    async fn scan(&self, frontend: &Frontend) -> Result<(), Failure> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let list = List::read(frontend).await?;
        if list.odd > 0 {
            let text = format_args!("{} functions are odd or too many", list.odd);
            self.pv.log.limited(Level::Warn, &self.name, text);
        }
        // The backend is there, but does not do what it is for.
        self.fleet
            .add(connection, &list.present)
            .await
            .map_err(|failure| Failure::own(&failure))
    }

    /// Goes along with what the backend changes.
    async fn change(&self, frontend: &Frontend, backend: XenbusState) -> Result<(), Failure> {
        if backend == XenbusState::Reconfiguring {
            if frontend.state() == XenbusState::Connected {
                let list = List::read(frontend).await?;
                self.fleet.remove(&list.leaving).await;
                frontend.set_state(XenbusState::Reconfiguring).await?;
            }
        } else if frontend.state() != XenbusState::Connected {
            self.scan(frontend).await?;
            frontend.set_state(XenbusState::Connected).await?;
        }
        Ok(())
    }

    /// Answers reports of errors until the backend does what no backend may do.
    async fn guard(&self) -> Fault {
        let Some(connection) = &self.connection else {
            return pending().await;
        };
        loop {
            match connection.alarm().await {
                Ok(report) => {
                    let verdict = self.judge(report);
                    connection.answer_report(verdict);
                }
                Err(fault) => return fault,
            }
        }
    }

    /// What is done about an error of a device. One that is fatal ends its driver; the device is
    /// of use again when the backend has taken it away and given it again.
    fn judge(&self, report: Report) -> Verdict {
        let function = report.address.and_then(|address| self.fleet.at(address));
        let (Some(function), Some(kind)) = (function, report.kind) else {
            let text = format_args!("the backend reports an error of nothing");
            self.pv.log.limited(Level::Warn, &self.name, text);
            return Verdict::None;
        };
        let (what, verdict) = match kind {
            Kind::Detected { fatal: false } => ("an error", Verdict::CanRecover),
            Kind::Detected { fatal: true } => ("a fatal error", Verdict::NeedReset),
            Kind::Readable => ("its registers can be read", Verdict::Recovered),
            Kind::Reset => ("it was reset", Verdict::Recovered),
            Kind::Resume => ("it goes on", Verdict::Recovered),
        };
        let text = format_args!("{} reports: {what}", function.address());
        self.pv.log.limited(Level::Warn, &self.name, text);
        if kind == (Kind::Detected { fatal: true }) {
            self.fleet.fail(&function);
        }
        verdict
    }
}

impl<H: Hypervisor> Driver for Device<H> {
    fn publish<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<Published, Failure>> {
        Box::pin(self.publish_page(frontend))
    }

    fn go_live<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async {
            self.scan(frontend).await?;
            frontend.set_state(XenbusState::Connected).await?;
            Ok(())
        })
    }

    /// A backend that is Connected has changed what it had to.
    fn reread<'a>(&'a mut self, frontend: &'a Frontend) -> Doing<'a, Result<(), Failure>> {
        self.reconfigure(frontend, XenbusState::Connected)
    }

    fn reconfigure<'a>(
        &'a mut self,
        frontend: &'a Frontend,
        backend: XenbusState,
    ) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async move {
            let this = Self {
                pv: self.pv.clone(),
                name: self.name.clone(),
                fleet: self.fleet.clone(),
                connection: self.connection.clone(),
            };
            beside(self, frontend, this.change(frontend, backend)).await?
        })
    }

    fn look(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    fn serve<'a>(
        &'a mut self,
        _frontend: &'a Frontend,
        draining: bool,
    ) -> Doing<'a, Result<(), Failure>> {
        Box::pin(async move {
            let left = async {
                // Who changes the functions waits for the same.
                if !draining {
                    pending::<()>().await;
                }
                while !self.fleet.is_settled() {
                    self.fleet.driver_ended().await;
                }
            };
            let (mut left, mut guard) = (pin!(left.fuse()), pin!(self.guard().fuse()));
            select_biased! {
                () = left => Ok(()),
                fault = guard => Err(fault.into()),
            }
        })
    }

    /// Nothing of the store is needed by functions that are there.
    fn is_open(&self) -> bool {
        true
    }

    fn refuse(&mut self) {
        self.fleet.dismiss_all();
    }

    fn is_drained(&self) -> bool {
        self.fleet.is_settled()
    }

    fn leave(&mut self) {
        self.fleet.dismiss_all();
        if let Some(connection) = self.connection.take() {
            connection.end();
        }
    }

    fn trace(&self, own: u64, backend: u64) {
        let now = self.pv.hv.now();
        self.pv.trace.record(now, "pcifront state", own, backend);
    }
}
