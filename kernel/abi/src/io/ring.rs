//! `io/ring.h`: the head of a request/response ring. Indices are free-running u32, compared by
//! wrapping subtraction.

/// u32: requests published by the frontend.
pub const REQ_PROD: usize = 0;
/// u32: the backend wants an event when `req_prod` reaches this.
pub const REQ_EVENT: usize = 4;
/// u32: responses published by the backend.
pub const RSP_PROD: usize = 8;
/// u32: the frontend wants an event when `rsp_prod` reaches this.
pub const RSP_EVENT: usize = 12;
/// Where the entries start.
pub const ENTRIES: usize = 64;

/// Entries in a ring of `bytes`: the largest power of two that fits behind the head; 0 if not even
/// one fits (`__CONST_RING_SIZE`).
#[must_use]
pub const fn entries(bytes: usize, entry_size: usize) -> u32 {
    let fit = bytes.saturating_sub(ENTRIES) / entry_size;
    if fit == 0 { 0 } else { 1 << fit.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ring_has_32_entries_in_each_page() {
        for (pages, count) in [(1, 32), (2, 64), (4, 128), (8, 256), (16, 512)] {
            assert_eq!(entries(pages * 4096, 112), count);
        }
    }

    #[test]
    fn the_head_is_not_room_for_entries() {
        assert_eq!(entries(64 + 112, 112), 1);
        assert_eq!(entries(64 + 111, 112), 0);
        assert_eq!(entries(10, 112), 0);
    }
}
