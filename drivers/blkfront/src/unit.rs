//! Which unit a device gets: `xbd0`, `xbd1`...

use alloc::collections::BTreeMap;

use crate::vdev::Vdev;

/// Devices whose unit is remembered after they left. A toolstack can name more devices than that,
/// but not make the table grow.
const REMEMBERED: usize = 256;

/// Which of a domain's disks are one run loop's, where several have some: those whose unit leaves
/// `own` when it is divided by `of`. Disks without a unit of their own are in the share with `own`
/// 0. So each disk is in one of the shares from 0 to `of` - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Less than `of`.
    pub own: u32,
    /// How many shares there are; at least 1.
    pub of: u32,
}

impl Default for Share {
    /// All of them.
    fn default() -> Self {
        Self { own: 0, of: 1 }
    }
}

impl Share {
    /// Whether the disk of that unit is among them; `None` for one that has no unit of its own.
    #[must_use]
    pub fn has(self, unit: Option<u32>) -> bool {
        unit.map_or(0, |unit| unit % self.of) == self.own
    }

    /// Whether a provider is made of a disk that is among them: the disk itself, or a part of it.
    /// All other providers, and one of which nothing is known, are in the share with `own` 0.
    #[must_use]
    pub fn has_provider(self, name: Option<&str>) -> bool {
        let unit = name.and_then(|name| {
            let rest = name.strip_prefix("xbd")?;
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            let (unit, parts) = rest.split_at(digits.unwrap_or(rest.len()));
            let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let mut split = parts.split(['p', 's']);
            let whole = split.next() == Some("") && split.all(is_part);
            unit.parse().ok().filter(|_| whole)
        });
        self.has(unit)
    }
}

/// The units in use, and those that devices had before.
///
/// A device that comes back gets the name it had; so a script that says `xbd3` stays right.
#[derive(Debug, Default)]
pub struct Units {
    share: Share,
    /// By device number: the unit, and whether the device is there.
    known: BTreeMap<u32, (u32, bool)>,
}

impl Units {
    /// Those of a share, none of which is in use yet.
    #[must_use]
    pub fn of(share: Share) -> Self {
        Self {
            share,
            ..Self::default()
        }
    }

    /// Whether the device with this number is in the share.
    #[must_use]
    pub fn has(&self, number: u32) -> bool {
        self.share.has(Vdev::from_number(number).unit())
    }

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
        let Share { own, of } = self.share;
        (own..)
            .step_by(of as usize)
            .find(|unit| self.known.values().all(|(taken, _)| taken != unit))
            .unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_its_own_units_and_gives_others_those_that_it_has() {
        let one = Share { own: 1, of: 2 };
        assert_eq!(
            [0, 1, 2, 3].map(|unit| one.has(Some(unit))),
            [false, true, false, true]
        );
        assert!(!one.has(None) && Share { own: 0, of: 2 }.has(None));
        let mut units = Units::of(Share { own: 0, of: 2 });
        assert_eq!([SDA, SDB].map(|number| units.take(number)), [0, 2]);
    }

    #[test]
    fn a_provider_is_in_the_share_of_its_disk_and_all_others_are_in_the_first() {
        for (provider, own) in [
            (Some("xbd0"), 0),
            (Some("xbd1"), 1),
            (Some("xbd5"), 2),
            (Some("xbd1p2"), 1),
            (Some("xbd1s1s5"), 1),
            (Some("xbd10p1"), 1),
            (Some("xbd1.nop"), 0),
            (Some("xbd1p"), 0),
            (Some("xbd1p1x"), 0),
            (Some("xbd"), 0),
            (Some("xbdp1"), 0),
            (Some("xbd4294967296"), 0),
            (Some("md1"), 0),
            (Some("nvd1"), 0),
            (Some(""), 0),
            (None, 0),
        ] {
            let having = [0, 1, 2].map(|own| Share { own, of: 3 }.has_provider(provider));
            assert_eq!(having, [0, 1, 2].map(|share| share == own), "{provider:?}");
            assert!(Share::default().has_provider(provider), "{provider:?}");
        }
    }

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
