//! The backend's nodes, read.

use frontend::Failure;
use xenbus::{Frontend, KeyError, KeyFault, StoreError};

use crate::discard::DiscardOffer;
use crate::fault::Fault;
use crate::feature::{LateOffers, Offers};
use crate::medium::{Claims, Medium};

/// A key that is no number is as good as none: the backend offers nothing that way.
pub(crate) async fn offers(frontend: &Frontend, most_queues: u32) -> Result<Offers, Failure> {
    let max_queues = match most_queues {
        // Whatever it offers.
        0 | 1 => None,
        _ => claim(frontend, "multi-queue-max-queues").await?,
    };
    Ok(Offers {
        max_ring_page_order: claim(frontend, "max-ring-page-order").await?,
        max_ring_pages: claim(frontend, "max-ring-pages").await?,
        max_indirect_segments: claim(frontend, "feature-max-indirect-segments").await?,
        max_queues,
    })
}

/// What the backend offers since it is connected.
pub(crate) async fn late_offers(frontend: &Frontend) -> Result<LateOffers, Failure> {
    let discard = match claim(frontend, "feature-discard").await? {
        Some(1) => Some(DiscardOffer {
            granularity: claim(frontend, "discard-granularity").await?,
            alignment: claim(frontend, "discard-alignment").await?,
            secure: claim(frontend, "discard-secure").await?,
        }),
        _ => None,
    };
    Ok(LateOffers {
        flush_cache: claim(frontend, "feature-flush-cache").await?,
        barrier: claim(frontend, "feature-barrier").await?,
        persistent: claim(frontend, "feature-persistent").await?,
        discard,
    })
}

/// What the backend says of its disk. Here a key that is no number is a lie: it decides where data
/// goes.
pub(crate) async fn medium(frontend: &Frontend) -> Result<Medium, Failure> {
    let mut claims = Claims::default();
    for (key, claim) in [
        ("sectors", &mut claims.sectors),
        ("sector-size", &mut claims.sector_size),
        ("info", &mut claims.info),
    ] {
        *claim = match frontend.read_backend(key).await {
            Ok(value) => Some(value),
            Err(KeyError {
                fault: KeyFault::Store(StoreError::NoEntry),
                ..
            }) => None,
            Err(error) => return Err(error.into()),
        };
    }
    claims.physical_sector_size = claim(frontend, "physical-sector-size").await?;
    Ok(claims.check().map_err(Fault::Medium)?)
}

async fn claim(frontend: &Frontend, key: &str) -> Result<Option<u64>, Failure> {
    match frontend.read_backend(key).await {
        Ok(value) => Ok(Some(value)),
        Err(KeyError {
            fault: KeyFault::Store(StoreError::NoEntry),
            ..
        }) => Ok(None),
        Err(KeyError {
            fault: KeyFault::Store(error),
            ..
        }) if error != StoreError::NotText => Err(error.into()),
        Err(_) => Ok(None),
    }
}
