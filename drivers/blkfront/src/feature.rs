//! What a backend offers, cut to what this frontend uses.

use core::fmt;

use crate::discard::{Discard, DiscardOffer};
use crate::queue::MOST_QUEUES;

/// The largest ring this frontend makes: 2^4 pages, as Linux.
pub(crate) const MOST_RING_ORDER: u32 = 4;
/// Segments of a direct request (`BLKIF_MAX_SEGMENTS_PER_REQUEST` of blkif.h).
pub(crate) const DIRECT_SEGMENTS: usize = 11;
/// The most segments this frontend puts into an indirect request: 256 KiB, whose descriptors fit
/// one page.
const MOST_INDIRECT_SEGMENTS: u64 = 64;

/// What a backend may publish only when it connects: it must have opened its disk to know. Linux's
/// does so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LateOffers {
    pub(crate) flush_cache: Option<u64>,
    pub(crate) barrier: Option<u64>,
    pub(crate) persistent: Option<u64>,
    /// There if `feature-discard` is 1.
    pub(crate) discard: Option<DiscardOffer>,
}

/// The numbers in the backend's directory before it connects; `None` where there is none or where
/// it is no number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    pub(crate) max_ring_page_order: Option<u64>,
    pub(crate) max_ring_pages: Option<u64>,
    pub(crate) max_indirect_segments: Option<u64>,
    pub(crate) max_queues: Option<u64>,
}

/// What is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    /// log2 of the ring's pages, at most [`MOST_RING_ORDER`].
    pub(crate) ring_order: u32,
    /// How many rings of this size there are, 1 to [`MOST_QUEUES`].
    pub(crate) queues: u32,
    /// The most segments a request may have: [`DIRECT_SEGMENTS`] unless the backend takes more in
    /// indirect requests.
    pub(crate) segments: usize,
    /// `BLKIF_OP_FLUSH_DISKCACHE` is understood.
    pub(crate) flush: bool,
    /// `BLKIF_OP_WRITE_BARRIER` is understood.
    pub(crate) barrier: bool,
    /// The backend keeps the pages of requests mapped. They stay granted in any case, so this
    /// changes nothing here.
    pub(crate) persistent: bool,
    /// `BLKIF_OP_DISCARD` is understood, for these ranges.
    pub(crate) discard: Option<Discard>,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.queues > 1 {
            write!(f, "{} queues, ", self.queues)?;
        }
        let pages = 1u32 << self.ring_order;
        write!(
            f,
            "ring of {pages} pages, {} segments a request",
            self.segments
        )?;
        f.write_str(if self.flush || self.barrier {
            ", flush"
        } else {
            ", no flush"
        })?;
        match self.discard {
            Some(discard) if discard.secure => f.write_str(", discard, secure discard")?,
            Some(_) => f.write_str(", discard")?,
            None => {}
        }
        if self.persistent {
            f.write_str(", persistent grants")?;
        }
        Ok(())
    }
}

impl LateOffers {
    /// `features`, and what this adds to them for a disk with sectors of `sector_size` bytes.
    pub(crate) fn add_to(self, features: Features, sector_size: u32) -> Features {
        Features {
            flush: self.flush_cache == Some(1),
            barrier: self.barrier == Some(1),
            persistent: self.persistent == Some(1),
            discard: self.discard.and_then(|offer| offer.check(sector_size)),
            ..features
        }
    }
}

impl Features {
    /// What of it goes for a disk with sectors of `sector_size` bytes.
    pub(crate) fn with_sectors(self, sector_size: u32) -> Self {
        Self {
            discard: self.discard.filter(|discard| discard.fits(sector_size)),
            ..self
        }
    }
}

impl Offers {
    /// The largest of what both sides can do, with at most `most_queues` queues. An offer that
    /// cannot be meant is taken as none.
    pub(crate) fn accept(self, most_queues: u32) -> Features {
        Features {
            ring_order: self.ring_order(),
            queues: self.queues(most_queues),
            segments: self.segments(),
            flush: false,
            barrier: false,
            persistent: false,
            discard: None,
        }
    }

    /// Both spellings of the ring's size: where they contradict each other, the smaller ring is
    /// certainly understood.
    fn ring_order(self) -> u32 {
        let most = u64::from(MOST_RING_ORDER);
        let order = self
            .max_ring_page_order
            .map(|order| if order > 31 { 0 } else { order.min(most) });
        let pages = self.max_ring_pages.map(|pages| match pages {
            0 => 0,
            pages => u64::from(pages.ilog2()).min(most),
        });
        let agreed = match (order, pages) {
            (Some(order), Some(pages)) => order.min(pages),
            (order, pages) => order.or(pages).unwrap_or(0),
        };
        u32::try_from(agreed).unwrap_or(0)
    }

    fn queues(self, most: u32) -> u32 {
        let most = u64::from(most.clamp(1, MOST_QUEUES));
        let offered = self.max_queues.unwrap_or(1).clamp(1, most);
        u32::try_from(offered).unwrap_or(1)
    }

    fn segments(self) -> usize {
        let offered = self
            .max_indirect_segments
            .unwrap_or(0)
            .min(MOST_INDIRECT_SEGMENTS);
        usize::try_from(offered).unwrap_or(0).max(DIRECT_SEGMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f11_an_indirect_offer_is_clamped() {
        let segments = |max| {
            Offers {
                max_indirect_segments: max,
                ..Offers::default()
            }
            .segments()
        };
        assert_eq!(segments(None), 11);
        assert_eq!(segments(Some(0)), 11);
        assert_eq!(
            segments(Some(8)),
            11,
            "less than a direct request has is no gain"
        );
        assert_eq!(segments(Some(32)), 32);
        assert_eq!(segments(Some(u64::from(u32::MAX))), 64);
    }

    #[test]
    fn f12_a_ring_offer_is_clamped_and_a_contradiction_settled_for_the_smaller() {
        let order = |order, pages| {
            let offers = Offers {
                max_ring_page_order: order,
                max_ring_pages: pages,
                ..Offers::default()
            };
            offers.ring_order()
        };
        assert_eq!(order(None, None), 0);
        assert_eq!(order(Some(3), None), 3);
        assert_eq!(order(Some(5), None), 4);
        assert_eq!(order(Some(u64::MAX), None), 0, "-1 is no order");
        assert_eq!(order(None, Some(8)), 3);
        assert_eq!(
            order(None, Some(7)),
            2,
            "not a power of two: the next smaller ring"
        );
        assert_eq!(order(None, Some(0)), 0);
        assert_eq!(order(Some(4), Some(2)), 1);
    }

    #[test]
    fn f13_a_queue_offer_is_clamped() {
        let queues = |offered, most| {
            let offers = Offers {
                max_queues: offered,
                ..Offers::default()
            };
            offers.accept(most).queues
        };
        assert_eq!(queues(None, 4), 1);
        assert_eq!(queues(Some(0), 4), 1);
        assert_eq!(queues(Some(3), 4), 3);
        assert_eq!(queues(Some(8), 4), 4);
        assert_eq!(queues(Some(1 << 32), 4), 4);
        assert_eq!(queues(Some(u64::MAX), 1), 1);
        assert_eq!(queues(Some(8), 0), 1);
        assert_eq!(queues(Some(1000), 1000), MOST_QUEUES);
    }

    #[test]
    fn a_feature_is_there_only_when_it_says_1() {
        let features = Offers::default().accept(1);
        let flush = |value| {
            LateOffers {
                flush_cache: value,
                ..LateOffers::default()
            }
            .add_to(features, 512)
            .flush
        };
        assert!(flush(Some(1)));
        assert!(!flush(Some(0)) && !flush(Some(2)) && !flush(None));
    }
}
