//! `cpu/N/availability`: which vCPUs the administrator wants (`xl vcpu-set`).

use alloc::format;
use alloc::vec::Vec;
use core::future::pending;

use exec::{Level, Log};
use xenbus::{Store, StoreError, Watch};

use crate::word::Availability;

const PART: &str = "control";
/// Nodes that are looked at: xl gives a domain at most 128 vCPUs.
const NODES: usize = 128;

/// What the administrator says of the domain's vCPUs.
pub struct Availabilities {
    log: Log,
    store: Store,
    /// As long as it is heard.
    watch: Option<Watch>,
}

impl Availabilities {
    /// Listens to it from now on.
    pub async fn watch(log: &Log, store: &Store) -> Self {
        let mut this = Self {
            log: log.clone(),
            store: store.clone(),
            watch: None,
        };
        match store.watch("cpu").await {
            Ok(watch) => this.watch = Some(watch),
            Err(error) => this.say_deaf(error),
        }
        this
    }

    fn say_deaf(&self, error: StoreError) {
        let text = format_args!("vcpu-set is not heard any more: {error}");
        self.log.write(Level::Warn, PART, text);
    }

    /// Waits until something else may be said. The first wait ends at once.
    pub async fn changed(&mut self) {
        match &self.watch {
            Some(watch) => {
                if let Err(error) = watch.changed().await {
                    self.say_deaf(error);
                    self.watch = None;
                }
            }
            None => pending().await,
        }
    }

    /// For each vCPU of which there is a word, whether it is to run; `None` if the word is neither
    /// of the two, which is logged. The list ends before the first one whose node cannot be read.
    pub async fn read(&self) -> Vec<Option<bool>> {
        let mut all = Vec::new();
        for number in 0..NODES {
            let node = format!("cpu/{number}/availability");
            let Ok(value) = self.store.read_bytes(&node).await else {
                break;
            };
            all.push(match Availability::parse(&value) {
                Availability::Online => Some(true),
                Availability::Offline => Some(false),
                Availability::Unknown(word) => {
                    let text = format_args!("{node}: {word:?} is neither online nor offline");
                    self.log.limited(Level::Warn, PART, text);
                    None
                }
            });
        }
        all
    }
}
