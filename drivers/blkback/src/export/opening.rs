//! From the toolstack's words to an open provider.

use alloc::rc::Rc;
use alloc::string::String;
use core::time::Duration;

use geom::{Access, Device};
use hv::Hypervisor;

use super::{Course, Export};
use crate::failure::Failure;
use crate::offer::terms;
use crate::request::Terms;
use crate::target::Target;

/// How long a provider that is not there is waited for. libxl waits 10 s for InitWait.
const PROVIDER: Duration = Duration::from_secs(9);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(50);

impl<H: Hypervisor> Export<H> {
    /// Opens what the toolstack names. `None` if the export was taken away meanwhile.
    pub(super) async fn open(
        &self,
        course: &Course<H>,
    ) -> Result<Option<(Rc<Device>, Terms)>, Failure> {
        let backend = &course.backend;
        let params = backend.read_text("params").await.map_err(Failure::Key)?;
        let target = Target::parse(&params).map_err(Failure::Target)?;
        let mode = backend.read_text("mode").await.map_err(Failure::Key)?;
        let discards = backend.read_or("discard-enable", 1u8).await;
        let read_only = target.read_only || !mode.starts_with('w');
        self.signals.provider.replace(target.provider.clone());
        self.signals.read_only.set(read_only);

        if !self.await_provider(&target.provider).await? {
            return Ok(None);
        }
        let access = match mode.as_str() {
            _ if read_only => Access::READ,
            // xl's way to say that somebody else may write too.
            "w!" => Access::READ_WRITE,
            _ => Access::EXCLUSIVE,
        };
        let device = self
            .geom
            .open_as(&target.provider, access, &self.name)
            .map_err(Failure::Open)?;
        let mut terms = terms(&device, read_only);
        terms.discard &= discards != Ok(0);
        Ok(Some((Rc::new(device), terms)))
    }

    /// Waits until there is a provider of that name; says whether the export is still wanted.
    async fn await_provider(&self, name: &str) -> Result<bool, Failure> {
        let until = self.pv.exec.now().after(PROVIDER);
        while self.geom.provider(name).is_none() {
            if self.signals.removed.get() || self.signals.closing.get() {
                return Ok(false);
            }
            if self.pv.exec.now() >= until {
                return Err(Failure::NoProvider(String::from(name)));
            }
            self.pv.exec.sleep(LOOK).await;
        }
        Ok(true)
    }
}
