//! Which vCPUs run, as the administrator wants it (`xl vcpu-set`).

use alloc::rc::Rc;
use alloc::vec;
use core::cell::Cell;
use core::pin::pin;
use core::time::Duration;

use control::Availabilities;
use exec::{Level, Notify, info};
use futures_util::future::select;
use hv::Hypervisor;
use pv::Pv;
use xenbus::Store;

use crate::placement::Placement;

const PART: &str = "vcpu";
/// How often it is looked whether a vCPU has done what it was asked.
const LOOK: Duration = Duration::from_millis(1);

/// The further vCPUs of the domain. A handle; clones speak for the same ones.
pub(crate) struct Hotplug<H: Hypervisor>(Rc<Inner<H>>);

struct Inner<H: Hypervisor> {
    pv: Pv<H>,
    store: Store,
    placement: Placement,
    /// All are to stand still.
    gathering: Cell<bool>,
    /// All have stood still since [`Hotplug::gather`] was called.
    gathered: Cell<bool>,
    told: Notify,
    done: Notify,
}

impl<H: Hypervisor> Clone for Hotplug<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Hypervisor> Hotplug<H> {
    /// Lets those run that are to, of those that are placed. To be called once per domain.
    pub(crate) fn start(pv: &Pv<H>, store: &Store, placement: &Placement) -> Self {
        let this = Self(Rc::new(Inner {
            pv: pv.clone(),
            store: store.clone(),
            placement: placement.clone(),
            gathering: Cell::new(false),
            gathered: Cell::new(false),
            told: Notify::new(),
            done: Notify::new(),
        }));
        let (there, used) = (pv.hv.vcpus(), placement.vcpus());
        if used < there && placement.is_shared() {
            info!(pv.log, PART, "there are {there}, of which {used} are used");
        }
        let vcpus = this.clone();
        pv.exec.spawn("vcpus", async move { vcpus.0.serve().await });
        this
    }

    /// Waits until no vCPU but the first runs, which has everything then, until
    /// [`spread`](Self::spread).
    pub(crate) async fn gather(&self) {
        self.0.gathering.set(true);
        self.0.gathered.set(false);
        self.0.told.notify();
        while !self.0.gathered.get() {
            self.0.done.notified().await;
        }
    }

    /// Lets them run again.
    pub(crate) fn spread(&self) {
        self.0.gathering.set(false);
        self.0.told.notify();
    }
}

impl<H: Hypervisor> Inner<H> {
    async fn serve(&self) {
        // Without a word of it, a vCPU runs.
        let mut wanted = vec![true; self.placement.vcpus() as usize];
        let mut availabilities = Availabilities::watch(&self.pv.log, &self.store).await;
        let mut unheeded = None;
        loop {
            let gathering = self.gathering.get();
            if !gathering {
                let said = availabilities.read().await;
                for (wanted, said) in wanted.iter_mut().zip(&said) {
                    *wanted = said.unwrap_or(*wanted);
                }
                self.say_unheeded(&said, &mut unheeded);
            }
            for (number, wanted) in (0..).zip(&wanted).skip(1) {
                self.bring(number, *wanted && !gathering).await;
            }
            if gathering {
                self.gathered.set(true);
                self.done.notify();
            }
            if self.gathering.get() == gathering {
                let (changed, told) = (pin!(availabilities.changed()), pin!(self.told.notified()));
                select(changed, told).await;
            }
        }
    }

    /// Says what is asked for and not done, if that is not as it was: whether the first one is to
    /// go, and how many are asked for beyond those that are used. What a domain begins with is no
    /// news.
    fn say_unheeded(&self, said: &[Option<bool>], known: &mut Option<(bool, usize)>) {
        let used = self.placement.vcpus();
        let more = said.iter().skip(used as usize);
        let more = more.filter(|said| **said == Some(true)).count();
        let first = said.first() == Some(&Some(false));
        if known
            .replace((first, more))
            .is_none_or(|known| known == (first, more))
        {
            return;
        }
        if first {
            let text = format_args!("the first one stays");
            self.pv.log.limited(Level::Warn, PART, text);
        }
        if more > 0 {
            let text = format_args!("{more} more are asked for: {used} is all that are used");
            self.pv.log.limited(Level::Warn, PART, text);
        }
    }

    /// Has a vCPU run or not, and waits until it does.
    async fn bring(&self, number: u32, up: bool) {
        let Self { pv, placement, .. } = self;
        let holder = if up { number } else { 0 };
        if pv.hv.vcpu_is_up(number) == up && placement.holder(number) == holder {
            return;
        }
        if up && let Err(errno) = pv.hv.vcpu_prepare(number) {
            let text = format_args!("{number} cannot run: {errno}");
            return pv.log.limited(Level::Warn, PART, text);
        }
        placement.want(number, holder);
        while placement.holder(number) != holder {
            pv.exec.sleep(LOOK).await;
        }
        if up {
            pv.hv.vcpu_up(number);
            info!(pv.log, PART, "{number} runs");
        } else {
            while pv.hv.vcpu_is_up(number) {
                pv.exec.sleep(LOOK).await;
            }
            info!(pv.log, PART, "{number} is down");
        }
    }
}
