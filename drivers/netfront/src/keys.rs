//! The nodes of a vif, read.

use alloc::string::String;

use frontend::Failure;
use xenbus::{Frontend, KeyError, KeyFault, StoreError};

use crate::fault::Fault;
use crate::feature::Offers;
use crate::mac;

/// The longest hint of an address that is kept.
const LONGEST_HINT: usize = 256;

/// A key that is no number is as good as none: the backend offers nothing that way.
pub(crate) async fn offers(frontend: &Frontend, most_queues: u32) -> Result<Offers, Failure> {
    let mut offers = Offers::default();
    for (key, offer) in [
        ("feature-rx-copy", &mut offers.rx_copy),
        ("feature-sg", &mut offers.sg),
        ("feature-gso-tcpv4", &mut offers.gso_tcpv4),
        ("feature-gso-tcpv6", &mut offers.gso_tcpv6),
        ("feature-no-csum-offload", &mut offers.no_csum),
        ("feature-ipv6-csum-offload", &mut offers.ipv6_csum),
        ("feature-multicast-control", &mut offers.multicast),
        ("feature-split-event-channels", &mut offers.split),
    ] {
        *offer = claim(frontend.read_backend(key).await)?;
    }
    if most_queues > 1 {
        offers.max_queues = claim(frontend.read_backend("multi-queue-max-queues").await)?;
    }
    Ok(offers)
}

/// The vif's own address.
pub(crate) async fn address(frontend: &Frontend) -> Result<[u8; 6], Failure> {
    let text = frontend.read_text("mac").await?;
    let wrong = || Fault::Address(text.chars().take(32).collect());
    Ok(mac::parse(&text).ok_or_else(wrong)?)
}

/// The longest IP packet that the toolstack wants.
pub(crate) async fn mtu(frontend: &Frontend) -> Result<Option<u64>, Failure> {
    claim(frontend.read("mtu").await)
}

/// What the toolstack wrote as the vif's address.
pub(crate) async fn address_hint(frontend: &Frontend) -> Result<Option<String>, Failure> {
    let hint = claim(frontend.read_backend_text("ip").await)?;
    Ok(hint.filter(|hint| !hint.is_empty() && hint.len() <= LONGEST_HINT))
}

/// Whether the backend's side is up. A backend that does not say is, and what cannot be read
/// changes nothing.
pub(crate) async fn carrier(frontend: &Frontend) -> Option<bool> {
    let carrier = claim(frontend.read_backend::<u64>("carrier").await).ok()?;
    Some(carrier != Some(0))
}

/// What a key holds, if that is something.
fn claim<T>(read: Result<T, KeyError>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(KeyError {
            fault: KeyFault::Store(error),
            ..
        }) if !matches!(error, StoreError::NoEntry | StoreError::NotText) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
