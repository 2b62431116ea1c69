//! Which unit a device gets: `xbd0`, `xbd1`...

use alloc::collections::BTreeMap;

use crate::vdev::Vdev;

/// Devices whose unit is remembered after they left. A toolstack can name more devices than that,
/// but not make the table grow.
const REMEMBERED: usize = 256;

/// The units in use, and those that devices had before.
///
/// A device that comes back gets the name it had; so a script that says `xbd3` stays right.
#[derive(Debug, Default)]
pub struct Units {
    /// By device number: the unit, and whether the device is there.
    known: BTreeMap<u32, (u32, bool)>,
}

impl Units {
    /// The unit for the device with this number, which is then in use until
    /// [`release`](Self::release).
    pub fn take(&mut self, number: u32) -> u32 {
        let unit = match (Vdev::from_number(number).unit(), self.known.get(&number)) {
            (Some(own), _) if !self.used_by_another(own, number) => own,
            (_, Some((before, _))) if !self.used_by_another(*before, number) => *before,
            _ => self.lowest_free(),
        };
        if self.known.len() >= REMEMBERED {
            self.known.retain(|_, (_, present)| *present);
        }
        self.known.insert(number, (unit, true));
        unit
    }

    /// Says that the device is gone. Its unit is remembered.
    pub fn release(&mut self, number: u32) {
        if let Some((_, present)) = self.known.get_mut(&number) {
            *present = false;
        }
    }

    fn used_by_another(&self, unit: u32, number: u32) -> bool {
        self.known
            .iter()
            .any(|(other, (taken, present))| *present && *taken == unit && *other != number)
    }

    /// The lowest unit that no device has or had.
    fn lowest_free(&self) -> u32 {
        (0..)
            .find(|unit| self.known.values().all(|(taken, _)| taken != unit))
            .unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XVDA: u32 = 51712;
    const XVDB: u32 = 51728;
    const SDA: u32 = 2048;
    const SDB: u32 = 2064;

    #[test]
    fn a_xen_disk_has_its_own_unit_and_others_the_lowest_free_one() {
        let mut units = Units::default();
        assert_eq!(units.take(XVDB), 1);
        assert_eq!(units.take(SDA), 0);
        assert_eq!(units.take(SDB), 2);
    }

    #[test]
    fn a_device_that_comes_back_has_its_old_unit() {
        let mut units = Units::default();
        assert_eq!((units.take(SDA), units.take(SDB)), (0, 1));
        units.release(SDA);
        units.release(SDB);
        assert_eq!(units.take(SDB), 1);
        assert_eq!(units.take(SDA), 0);
    }

    #[test]
    fn a_xen_disk_whose_own_unit_is_taken_comes_back_with_the_other_it_had() {
        let mut units = Units::default();
        assert_eq!((units.take(SDA), units.take(XVDA)), (0, 1));
        for _ in 0..3 {
            units.release(XVDA);
            assert_eq!(units.take(XVDA), 1);
        }
    }

    #[test]
    fn two_devices_never_share_a_unit() {
        let mut units = Units::default();
        assert_eq!(units.take(SDA), 0);
        assert_eq!(units.take(XVDA), 1, "xvda's own unit is in use");
        units.release(SDA);
        units.release(XVDA);
        assert_eq!(units.take(XVDA), 0, "and is its own again once free");
    }

    #[test]
    fn the_memory_of_devices_is_bounded() {
        let mut units = Units::default();
        for number in 0..10_000 {
            units.take(1 << 28 | number << 8);
            units.release(1 << 28 | number << 8);
        }
        assert!(units.known.len() <= REMEMBERED);
    }
}
