//! What a controller says of itself before it is enabled: its CAP register; pure.

use core::fmt;
use core::time::Duration;

/// The unit of CAP.TO.
const READY_UNIT: Duration = Duration::from_millis(500);

/// What of CAP matters here (NVM Express 1.4, 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// The most entries a queue may have, at least 2.
    pub(crate) entries: u32,
    /// Bytes from one doorbell to the next.
    pub(crate) stride: usize,
    /// How long enabling and disabling may take.
    pub(crate) ready_limit: Duration,
}

/// Why a controller cannot be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// No NVM command set.
    CommandSet,
    /// The smallest page it takes, in bytes, is larger than ours.
    PageSize(u64),
    /// Queues of one entry, which can hold none.
    QueueEntries,
    /// Its registers do not reach as far as the doorbells.
    Registers(usize),
    /// Its queue entries have other sizes than 64 and 16 bytes.
    EntrySizes,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandSet => f.write_str("it has no NVM command set"),
            Self::PageSize(size) => write!(f, "its smallest page is {size} bytes"),
            Self::QueueEntries => f.write_str("its queues hold no entry"),
            Self::Registers(length) => write!(f, "its registers are only {length} bytes"),
            Self::EntrySizes => f.write_str("its queue entries are not of 64 and 16 bytes"),
        }
    }
}

impl Capabilities {
    /// Reads the register's value.
    pub(crate) fn parse(cap: u64) -> Result<Self, Unfit> {
        let field = |low: u32, bits: u32| cap >> low & ((1 << bits) - 1);
        if field(37, 1) == 0 {
            return Err(Unfit::CommandSet);
        }
        let smallest = field(48, 4);
        if smallest != 0 {
            return Err(Unfit::PageSize(4096 << smallest));
        }
        let entries = u32::from(cap as u16) + 1;
        if entries < 2 {
            return Err(Unfit::QueueEntries);
        }
        // At most 127 seconds; one that says nothing has one unit.
        let units = (field(24, 8) as u32).max(1);
        Ok(Self {
            entries,
            stride: 4 << field(32, 4),
            ready_limit: READY_UNIT * units,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QEMU 10's controller: 2048 entries, 7.5 seconds, NVM and others, pages of 4 KiB to 64 KiB.
    const QEMU: u64 = 0x0040_0021_0f01_07ff | 1 << 37;

    #[test]
    fn what_a_controller_says_is_read() {
        let known = Capabilities::parse(QEMU & !(0xf << 32) | 2 << 32);
        let wanted = Capabilities {
            entries: 2048,
            stride: 16,
            ready_limit: Duration::from_millis(7500),
        };
        assert_eq!(known, Ok(wanted));
    }

    #[test]
    fn a_controller_without_what_is_needed_is_refused() {
        assert_eq!(Capabilities::parse(0), Err(Unfit::CommandSet));
        let large = Capabilities::parse(QEMU | 1 << 48);
        assert_eq!(large, Err(Unfit::PageSize(8192)));
        let none = Capabilities::parse(QEMU & !0xffff);
        assert_eq!(none, Err(Unfit::QueueEntries));
    }

    #[test]
    fn a_controller_that_names_no_limit_has_half_a_second() {
        let known = Capabilities::parse(QEMU & !(0xff << 24));
        assert_eq!(known.map(|known| known.ready_limit), Ok(READY_UNIT));
    }
}
