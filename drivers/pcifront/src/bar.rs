//! Where registers are, and what may be said of that.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::{Address, Failure};

/// Machine addresses are below this.
const LIMIT: u64 = 1 << 52;
/// The low bits of a base address register that say what it is.
const KIND: u32 = 0xf;

/// Registers in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The machine address.
    pub address: u64,
    /// How many bytes: a power of two.
    pub bytes: u64,
}

/// What the low word of a base address register says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// One word.
    Narrow,
    /// Two words.
    Wide,
}

impl Width {
    /// How wide the register is of which `low` is the low word.
    pub(crate) fn of(low: u32) -> Result<Self, Failure> {
        match low & 7 {
            0 => Ok(Self::Narrow),
            4 => Ok(Self::Wide),
            // Ports, which a domain of this kind has no use for.
            kind if kind & 1 != 0 => Err(Failure::Absent),
            _ => Err(Failure::Nonsense("a base address register of no kind")),
        }
    }
}

impl Bar {
    /// What is there, from the register as it was and as it reads after all ones were written: both
    /// words, the high ones 0 if there are none.
    pub(crate) fn new(width: Width, was: [u32; 2], probed: [u32; 2]) -> Result<Self, Failure> {
        let join = |[low, high]: [u32; 2]| u64::from(low & !KIND) | u64::from(high) << 32;
        let mask = match (width, join(probed)) {
            (_, 0) => return Err(Failure::Absent),
            (Width::Narrow, low) => low | u64::from(u32::MAX) << 32,
            (Width::Wide, mask) => mask,
        };
        let (address, bytes) = (join(was), (!mask).wrapping_add(1));
        if !bytes.is_power_of_two() || mask != !(bytes - 1) {
            return Err(Failure::Nonsense("a size that is no power of two"));
        }
        let end = address.checked_add(bytes);
        if address == 0 || address % bytes != 0 || end.is_none_or(|end| end > LIMIT) {
            return Err(Failure::Nonsense("registers where none can be"));
        }
        Ok(Self { address, bytes })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.address < other.address + other.bytes && other.address < self.address + self.bytes
    }
}

/// Whose registers are where.
#[derive(Default)]
pub(crate) struct Claims(RefCell<Vec<(Address, u8, Bar)>>);

impl Claims {
    /// Notes where registers of a function are.
    ///
    /// # Errors
    /// Others are there.
    pub(crate) fn claim(&self, function: Address, index: u8, bar: Bar) -> Result<(), Failure> {
        let mut claims = self.0.borrow_mut();
        claims.retain(|(owner, at, _)| (*owner, *at) != (function, index));
        if claims.iter().any(|(_, _, other)| other.overlaps(&bar)) {
            return Err(Failure::Nonsense("registers where others are"));
        }
        claims.push((function, index, bar));
        Ok(())
    }

    /// Forgets where a function's registers are.
    pub(crate) fn release(&self, function: Address) {
        self.0
            .borrow_mut()
            .retain(|(owner, _, _)| *owner != function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_what_stays_zero() {
        let wide = Bar::new(Width::Wide, [0x4, 0xc0], [0xffff_c004, u32::MAX]);
        let expected = Bar {
            address: 0xc0_0000_0000,
            bytes: 16384,
        };
        assert_eq!(wide, Ok(expected));
        let narrow = Bar::new(Width::Narrow, [0xfebf_1000, 0], [0xffff_f000, 0]);
        let expected = Bar {
            address: 0xfebf_1000,
            bytes: 4096,
        };
        assert_eq!(narrow, Ok(expected));
    }

    #[test]
    fn a_register_that_is_not_used_or_of_ports_is_absent() {
        assert_eq!(
            Bar::new(Width::Narrow, [0; 2], [0; 2]),
            Err(Failure::Absent)
        );
        assert_eq!(Bar::new(Width::Wide, [4, 0], [4, 0]), Err(Failure::Absent));
        assert_eq!(Width::of(0xc001), Err(Failure::Absent));
        assert_eq!(Width::of(0xc), Ok(Width::Wide));
    }

    #[test]
    fn p03_a_size_that_is_no_power_of_two_is_refused() {
        for probed in [[0xffff_5004, u32::MAX], [0xffff_c004, 0x7f], [0x5004, 0]] {
            let bar = Bar::new(Width::Wide, [0x4, 0xc0], probed);
            assert!(matches!(bar, Err(Failure::Nonsense(_))), "{probed:x?}");
        }
    }

    #[test]
    fn p03_registers_are_not_at_0_and_end_where_addresses_do() {
        for was in [[0x4, 0], [0x1004, 0xc0], [0xffff_c004, u32::MAX]] {
            let bar = Bar::new(Width::Wide, was, [0xffff_c004, u32::MAX]);
            assert!(matches!(bar, Err(Failure::Nonsense(_))), "{was:x?}");
        }
        assert!(Width::of(2).is_err() && Width::of(6).is_err());
    }

    #[test]
    fn p03_two_functions_have_no_registers_in_common() {
        let address = |slot| Address {
            domain: 0,
            bus: 0,
            slot,
            function: 0,
        };
        let bar = |address, bytes| Bar { address, bytes };
        let claims = Claims::default();
        let large = bar(0x10_0000, 0x4000);
        assert_eq!(claims.claim(address(1), 0, large), Ok(()));
        assert_eq!(claims.claim(address(1), 0, large), Ok(()), "it is its own");
        assert!(claims.claim(address(2), 0, bar(0x10_2000, 0x1000)).is_err());
        assert!(claims.claim(address(1), 2, bar(0x10_0000, 0x1000)).is_err());
        assert_eq!(claims.claim(address(2), 0, bar(0x10_4000, 0x1000)), Ok(()));
        claims.release(address(1));
        assert_eq!(claims.claim(address(2), 2, large), Ok(()));
    }
}
