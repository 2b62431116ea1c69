//! What GEOM completes an order under: which request it is of, in one number; pure.

/// An order's request, and what it counts.
pub(crate) struct Tag {
    pub(crate) queue: usize,
    pub(crate) slot: usize,
    /// What the order counts in the window: at most a [`PIECE`](crate::slot::PIECE).
    pub(crate) cost: u64,
}

impl Tag {
    const SLOT_BITS: u32 = 16;
    const COST_BITS: u32 = 24;

    pub(crate) fn pack(&self) -> u64 {
        let above = (self.queue as u64) << Self::SLOT_BITS | self.slot as u64;
        above << Self::COST_BITS | self.cost
    }

    pub(crate) fn unpack(tag: u64) -> Self {
        let low = |number: u64, bits: u32| number & ((1 << bits) - 1);
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let above = tag >> Self::COST_BITS;
        Self {
            queue: index(above >> Self::SLOT_BITS),
            slot: index(low(above, Self::SLOT_BITS)),
            cost: low(tag, Self::COST_BITS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::PIECE;

    #[test]
    fn a_tag_comes_back_as_it_was() {
        let tag = Tag {
            queue: 3,
            slot: 511,
            cost: PIECE,
        };
        let Tag { queue, slot, cost } = Tag::unpack(tag.pack());
        assert_eq!((queue, slot, cost), (3, 511, PIECE));
    }
}
