//! `cpu/N/availability`: which vCPUs the administrator wants (`xl vcpu-set`). The domain runs on
//! the first one whatever that is; it says so when others are asked for, or the first one is not.

use alloc::format;

use exec::{Level, Log};
use xenbus::{Store, StoreError};

use crate::word::Availability;

const PART: &str = "control";
/// Nodes that are looked at: xl gives a domain at most 128 vCPUs.
const NODES: usize = 128;

/// Says what is asked for and not done, until the store is lost.
pub(crate) async fn watch(log: Log, store: Store) {
    if let Err(error) = follow(&log, &store).await {
        let text = format_args!("vcpu-set is not heard any more: {error}");
        log.write(Level::Warn, PART, text);
    }
}

async fn follow(log: &Log, store: &Store) -> Result<(), StoreError> {
    let watch = store.watch("cpu").await?;
    // What the domain was made with is said at boot, by whoever knows how many vCPUs there are.
    let mut known = None;
    loop {
        watch.changed().await?;
        let asked = asked(log, store).await?;
        let (first, others) = asked;
        if known.is_some_and(|known| known != asked) && (others > 0 || !first) {
            let text = format_args!(
                "{others} more vCPUs are asked for: only the first is used, and it stays"
            );
            log.limited(Level::Warn, PART, text);
        }
        known = Some(asked);
    }
}

/// Whether the first vCPU is to be online, and how many others.
async fn asked(log: &Log, store: &Store) -> Result<(bool, usize), StoreError> {
    let mut asked = (false, 0);
    for number in 0..NODES {
        let node = format!("cpu/{number}/availability");
        match store.read_bytes(&node).await {
            Ok(value) => match Availability::parse(&value) {
                Availability::Online if number == 0 => asked.0 = true,
                Availability::Online => asked.1 += 1,
                Availability::Offline => {}
                Availability::Unknown(word) => {
                    let text = format_args!("{node}: {word:?} is neither online nor offline");
                    log.limited(Level::Warn, PART, text);
                }
            },
            Err(error @ StoreError::Lost(_)) => return Err(error),
            Err(_) => break,
        }
    }
    Ok(asked)
}
