//! The arithmetic of free-running indices (ring.h): they count entries for ever, wrap at 2^32 and
//! are compared by wrapping subtraction.

use crate::PeerFault;

/// Bytes before the first entry of a request ring (`struct __name##_sring` in ring.h).
pub const HEADER: usize = 64;
/// Offset of the frontend's producer index.
pub const REQ_PROD: usize = 0;
/// Offset of the request count at which the backend wants an event.
pub const REQ_EVENT: usize = 4;
/// Offset of the backend's producer index.
pub const RSP_PROD: usize = 8;
/// Offset of the response count at which the frontend wants an event.
pub const RSP_EVENT: usize = 12;

/// How many entries of `entry_size` bytes a ring of `length` bytes has: the largest power of two
/// that fits behind the header (`__RING_SIZE` in ring.h), 0 if not even one does.
#[must_use]
pub fn capacity(length: usize, entry_size: usize) -> u32 {
    let fitting = length
        .checked_sub(HEADER)
        .and_then(|bytes| bytes.checked_div(entry_size))
        .and_then(|entries| u32::try_from(entries).ok());
    match fitting.and_then(u32::checked_ilog2) {
        Some(order) => 1 << order,
        None => 0,
    }
}

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
    HEADER + (index & (capacity - 1)) as usize * entry_size
}
