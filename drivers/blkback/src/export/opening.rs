//! From the toolstack's words to an open provider.

use alloc::rc::Rc;
use alloc::string::String;
use core::time::Duration;

use geom::Access;
use hv::Hypervisor;

use xenbus::Backend;
use xenbus::state::{BackStep, next_back_step};

use super::{Course, Export};
use crate::failure::Failure;
use crate::medium::Medium;
use crate::offer::terms;
use crate::request::Terms;
use crate::target::Target;

/// How long a provider that is not there is waited for. libxl waits 10 s for InitWait.
const PROVIDER: Duration = Duration::from_secs(9);
/// How often it is looked for.
const PROVIDER_LOOK: Duration = Duration::from_millis(50);

impl<H: Hypervisor> Export<H> {
    /// Opens what the toolstack names. `None` if the export was taken away meanwhile.
    pub(super) async fn open(
        &self,
        course: &Course<H>,
    ) -> Result<Option<(Rc<Medium>, Terms)>, Failure> {
        let backend = &course.backend;
        let params = backend.read_text("params").await.map_err(Failure::Key)?;
        let asked = Target::parse(&params);
        let target = asked.and_then(|asked| self.declarations.resolve(asked));
        let target = target.map_err(Failure::Target)?;
        if (self.ours.as_ref()).is_some_and(|ours| !ours(Some(&target.provider))) {
            return Err(Failure::Elsewhere);
        }
        let mode = backend.read_text("mode").await.map_err(Failure::Key)?;
        let discards = backend.read_or("discard-enable", 1u8).await;
        let read_only = target.read_only || !mode.starts_with('w');
        self.signals.provider.replace(target.provider.clone());
        self.signals.read_only.set(read_only);

        let access = match mode.as_str() {
            _ if read_only => Access::READ,
            // xl's way to say that somebody else may write too.
            "w!" => Access::READ_WRITE,
            _ => Access::EXCLUSIVE,
        };
        let opened = self.open_provider(backend, &target.provider, access);
        let Some(medium) = opened.await? else {
            return Ok(None);
        };
        let mut terms = terms(&medium, read_only);
        terms.discard &= discards != Ok(0);
        Ok(Some((Rc::new(medium), terms)))
    }

    /// Opens the provider of that name. If there is none, or a former connection of this export
    /// still has requests under way there, it is waited for; `None` if the toolstack or this domain
    /// wants the export to end meanwhile, or the frontend closes: should it come back, the wait
    /// begins anew.
    async fn open_provider(
        &self,
        backend: &Backend,
        name: &str,
        access: Access,
    ) -> Result<Option<Medium>, Failure> {
        let until = self.pv.exec.now().after(PROVIDER);
        loop {
            let overdue = self.pv.exec.now() >= until;
            let exec = &self.pv.exec;
            match self.providers.open(exec, name, access, &self.name).await {
                Ok(Some(medium)) => return Ok(Some(medium)),
                Ok(None) if overdue => return Err(Failure::NoProvider(String::from(name))),
                Err(error) if overdue || error.holder.as_ref() != Some(&self.name) => {
                    return Err(Failure::Open(error));
                }
                // It is the export itself that still has it.
                Ok(None) | Err(_) => {}
            }
            let changed = self.pv.exec.timeout(PROVIDER_LOOK, backend.changed()).await;
            let ends = changed.is_ok() && !is_wanted(backend).await?;
            if ends || self.signals.removed.get() || self.signals.closing.get() {
                return Ok(None);
            }
        }
    }
}

/// Whether it is still to be offered, as far as the two ends go.
async fn is_wanted(backend: &Backend) -> Result<bool, Failure> {
    let looked = backend.look().await?;
    let step = next_back_step(looked.own, looked.frontend, looked.online);
    Ok(matches!(
        step,
        BackStep::Offer | BackStep::Reopen | BackStep::Connect
    ))
}
