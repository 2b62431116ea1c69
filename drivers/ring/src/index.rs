//! The arithmetic of free-running indices (ring.h): they count entries for ever, wrap at 2^32 and
//! are compared by wrapping subtraction.

use xen_abi::io::ring::ENTRIES;

use crate::PeerFault;

/// Whether a producer that goes from `old` to `new` must raise an event, where the consumer asked
/// for one at `event`.
#[must_use]
pub fn must_notify(old: u32, new: u32, event: u32) -> bool {
    new.wrapping_sub(event) < new.wrapping_sub(old)
}

/// How far the peer's index is ahead of ours.
///
/// # Errors
/// A [`PeerFault`] if that is more than `limit`; so a peer's index can never go back either.
pub fn ahead(name: &'static str, theirs: u32, ours: u32, limit: u32) -> Result<u32, PeerFault> {
    let distance = theirs.wrapping_sub(ours);
    if distance > limit {
        return Err(PeerFault {
            name,
            theirs,
            ours,
            limit,
        });
    }
    Ok(distance)
}

/// Where the entry with the free-running `index` lies.
pub(crate) fn offset(index: u32, capacity: u32, entry_size: usize) -> usize {
    ENTRIES + (index & (capacity - 1)) as usize * entry_size
}
