//! What is offered to a frontend, and the nodes that say so.
//!
//! A domain may have 1,000 nodes in all, and each export has about a dozen that the toolstack made
//! in this domain's name. So a node is written only where its absence would say something else.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use xen_abi::io::blkif::{SECTOR_SIZE, VDISK_READONLY};

use crate::keys::{MAX_QUEUES, MAX_RING_ORDER};
use crate::medium::Medium;
use crate::queue::INDIRECT_SEGMENTS;
use crate::request::Terms;

/// Nodes to be published, by key.
pub(crate) type Keys = Vec<(&'static str, String)>;

/// What requests over `medium` are held to.
pub(crate) fn terms(medium: &Medium, read_only: bool) -> Terms {
    let limits = medium.limits();
    let can = |what: Option<bool>| what.unwrap_or(false) && !read_only;
    Terms {
        sector_size: medium.sector_size(),
        read_only,
        flush: can(limits.map(|limits| limits.can_flush)),
        discard: can(limits.map(|limits| limits.can_delete)),
        secure: can(limits.map(|limits| limits.can_erase)),
        indirect_segments: INDIRECT_SEGMENTS,
    }
}

/// What a frontend reads in InitWait (blkif.h, "Backend Features"). Discards are cut at the disk's
/// own units.
pub(crate) fn features(medium: &Medium, terms: &Terms) -> Keys {
    let mut keys = Keys::new();
    let mut add = |key, value: u64| keys.push((key, value.to_string()));
    add(
        "feature-max-indirect-segments",
        terms.indirect_segments.into(),
    );
    add("feature-persistent", 1);
    add("max-ring-page-order", MAX_RING_ORDER.into());
    add("multi-queue-max-queues", MAX_QUEUES.into());
    if terms.flush {
        add("feature-flush-cache", 1);
        add("feature-barrier", 1);
    }
    if terms.discard {
        add("feature-discard", 1);
        let unit = medium
            .limits()
            .map_or(0, |limits| limits.delete_granularity);
        let unit = unit.max(u64::from(terms.sector_size));
        add("discard-granularity", unit);
        add("discard-alignment", (unit - medium.start() % unit) % unit);
    }
    if terms.discard && terms.secure {
        add("discard-secure", 1);
    }
    keys
}

/// What a frontend reads in Connected (blkif.h, "Backend Device Properties").
pub(crate) fn properties(medium: &Medium, terms: &Terms) -> Keys {
    let mut keys = Keys::new();
    let mut add = |key, value: u64| keys.push((key, value.to_string()));
    let sector_size = u64::from(terms.sector_size);
    let media_size = medium.media_size();
    add("sectors", media_size / SECTOR_SIZE);
    add("sector-size", sector_size);
    let stripe = medium.stripe_size();
    let usable = stripe.is_power_of_two() && stripe > sector_size && stripe <= 1 << 16;
    if usable && media_size.is_multiple_of(stripe) {
        add("physical-sector-size", stripe);
    }
    add("info", if terms.read_only { VDISK_READONLY } else { 0 });
    keys
}
