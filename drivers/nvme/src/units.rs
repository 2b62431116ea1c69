//! Which unit a disk or a controller gets: `nvd0`, `nvme0`...

use alloc::collections::BTreeSet;
use core::cell::RefCell;

/// Those of all controllers and of all their disks.
#[derive(Debug, Default)]
pub(crate) struct AllUnits {
    pub(crate) controllers: RefCell<Units>,
    pub(crate) disks: RefCell<Units>,
}

/// The units in use.
#[derive(Debug, Default)]
pub(crate) struct Units(BTreeSet<u32>);

impl Units {
    /// Takes the lowest unit that is free.
    pub(crate) fn take(&mut self) -> u32 {
        let unit = (0..u32::MAX).find(|unit| !self.0.contains(unit));
        let unit = unit.unwrap_or(u32::MAX);
        self.0.insert(unit);
        unit
    }

    /// Gives one back.
    pub(crate) fn release(&mut self, unit: u32) {
        self.0.remove(&unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_unit_is_taken() {
        let mut units = Units::default();
        assert_eq!([units.take(), units.take(), units.take()], [0, 1, 2]);
        units.release(1);
        assert_eq!([units.take(), units.take()], [1, 3]);
    }
}
