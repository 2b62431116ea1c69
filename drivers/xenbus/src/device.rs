//! What both buses keep of the devices that come and go.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::{Context, Poll};
use core::time::Duration;

use exec::{Level, Notify};

use crate::store::Store;

/// Devices of one kind at most: what is beyond is not announced until others leave.
pub(crate) const DEVICES: usize = 1024;

/// The pause before a store that refused to list the devices is asked again; it doubles.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Announced,
    /// Its driver has let go of it, and its nodes are still there.
    Released,
}

/// The devices whose drivers have let go of them, until the bus takes note.
pub(crate) struct Released<K> {
    devices: RefCell<Vec<K>>,
    some: Notify,
}

impl<K> Default for Released<K> {
    fn default() -> Self {
        Self {
            devices: RefCell::default(),
            some: Notify::new(),
        }
    }
}

impl<K: PartialEq> Released<K> {
    pub(crate) fn add(&self, device: K) {
        self.devices.borrow_mut().push(device);
        self.some.notify();
    }

    pub(crate) fn take(&self) -> Vec<K> {
        self.devices.take()
    }

    /// Forgets that a device was let go of: that was the one before the one announced now.
    pub(crate) fn forget(&self, device: &K) {
        self.devices.borrow_mut().retain(|other| other != device);
    }

    /// Waits until there may be one to take.
    pub(crate) async fn some(&self) {
        self.some.notified().await;
    }

    pub(crate) fn poll_some(&self, context: &mut Context<'_>) -> Poll<()> {
        self.some.poll_notified(context)
    }
}

/// The children of one node that are not named as they should be, so that each is complained of
/// once.
#[derive(Default)]
pub(crate) struct OddNames(BTreeSet<String>);

impl OddNames {
    /// The numbers that the children of `path` are named by; complains of other `names`, which
    /// are not `wanted`.
    pub(crate) fn numbers<T: Ord>(
        &mut self,
        store: &Store,
        path: &str,
        wanted: &str,
        names: Vec<String>,
        number: impl Fn(&str) -> Option<T>,
    ) -> BTreeSet<T> {
        let mut odd = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for name in names {
            if let Some(number) = number(&name) {
                numbers.insert(number);
                continue;
            }
            if !self.0.contains(&name) {
                let text = format_args!("{path}/{name}: not {wanted}");
                store.log().limited(Level::Warn, "xenbus", text);
            }
            odd.insert(name);
        }
        self.0 = odd;
        numbers
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
