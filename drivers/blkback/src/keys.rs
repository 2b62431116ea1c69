//! What a frontend published: where its rings are.
//!
//! Every value is read once, strictly, and bounded by what was offered (case B12). Whether a
//! reference can be mapped or a port bound is Xen's to say.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hv::{GrantRef, Port};
use xen_abi::io::blkif::Layout;
use xenbus::{Backend, KeyError, KeyFault, StoreError};

/// The most ring pages, as an order: 16 pages.
pub(crate) const MAX_RING_ORDER: u32 = 4;
/// The most queues. Each has an event channel and a ring of its own; all are served by
/// one vCPU, that of their disk.
pub(crate) const MAX_QUEUES: u32 = 4;
/// How much of a bad value an error repeats, in characters.
const SHOWN: usize = 40;

/// What a frontend wants to be connected by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) layout: Layout,
    /// It uses the same pages again and again.
    pub(crate) persistent: bool,
    pub(crate) queues: Vec<QueueKeys>,
}

/// One ring and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueKeys {
    pub(crate) references: Vec<GrantRef>,
    pub(crate) port: Port,
}

/// Why a frontend cannot be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadKeys {
    Key(KeyError),
    Protocol(String),
    RingOrder(i64),
    RingPages(u32),
    Queues(u32),
}

impl fmt::Display for BadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Protocol(text) => write!(f, "protocol {text:?} is not known"),
            Self::RingOrder(order) => {
                write!(
                    f,
                    "ring-page-order {order}: at most {MAX_RING_ORDER} was offered"
                )
            }
            Self::RingPages(pages) => {
                write!(f, "num-ring-pages {pages} is no power of two up to 16")
            }
            Self::Queues(count) => {
                write!(
                    f,
                    "multi-queue-num-queues {count}: 1 to {MAX_QUEUES} were offered"
                )
            }
        }
    }
}

impl From<KeyError> for BadKeys {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl Wanted {
    /// Reads what the frontend published.
    pub(crate) async fn read(backend: &Backend) -> Result<Self, BadKeys> {
        let layout = layout(backend).await?;
        let order = ring_order(backend).await?;
        let count = backend
            .read_frontend_or("multi-queue-num-queues", 1u32)
            .await?;
        if !(1..=MAX_QUEUES).contains(&count) {
            return Err(BadKeys::Queues(count));
        }
        let mut queues = Vec::new();
        if count == 1 {
            queues.push(queue(backend, "", order).await?);
        } else {
            for index in 0..count {
                queues.push(queue(backend, &format!("queue-{index}/"), order).await?);
            }
        }
        let persistent = backend.read_frontend_or("feature-persistent", 0u32).await?;
        Ok(Self {
            layout,
            persistent: persistent != 0,
            queues,
        })
    }
}

async fn layout(backend: &Backend) -> Result<Layout, BadKeys> {
    match backend.read_frontend_text("protocol").await {
        // As the frontend's kernel is, then: 64-bit, since no other runs beside this one.
        Err(KeyError {
            fault: KeyFault::Store(StoreError::NoEntry),
            ..
        }) => Ok(Layout::X86_64),
        Err(error) => Err(error.into()),
        Ok(text) => match text.as_str() {
            "x86_64-abi" => Ok(Layout::X86_64),
            "x86_32-abi" => Ok(Layout::X86_32),
            _ => Err(BadKeys::Protocol(text.chars().take(SHOWN).collect())),
        },
    }
}

/// The ring's order, in either scheme of keys; `None` if there is one page and neither is used.
async fn ring_order(backend: &Backend) -> Result<Option<u32>, BadKeys> {
    // What is read is never negative: that stands for an absent key.
    let order = backend.read_frontend_or("ring-page-order", -1i64).await?;
    if order >= 0 {
        let offered = u32::try_from(order).ok();
        let offered = offered.filter(|order| *order <= MAX_RING_ORDER);
        return offered.map(Some).ok_or(BadKeys::RingOrder(order));
    }
    let pages = backend.read_frontend_or("num-ring-pages", 1u32).await?;
    if !pages.is_power_of_two() || pages > 1 << MAX_RING_ORDER {
        return Err(BadKeys::RingPages(pages));
    }
    Ok((pages > 1).then_some(pages.trailing_zeros()))
}

async fn queue(backend: &Backend, folder: &str, order: Option<u32>) -> Result<QueueKeys, BadKeys> {
    let mut references = Vec::new();
    match order {
        None => references.push(reference(backend, &format!("{folder}ring-ref")).await?),
        Some(order) => {
            for index in 0..1u32 << order {
                let key = format!("{folder}ring-ref{index}");
                references.push(reference(backend, &key).await?);
            }
        }
    }
    let port: u32 = backend
        .read_frontend(&format!("{folder}event-channel"))
        .await?;
    Ok(QueueKeys {
        references,
        port: Port(port),
    })
}

async fn reference(backend: &Backend, key: &str) -> Result<GrantRef, BadKeys> {
    Ok(GrantRef(backend.read_frontend(key).await?))
}
