//! Identify Controller (NVM Express 1.4, figure 247).

use alloc::string::String;
use core::time::Duration;

use crate::bytes::{number, text};

/// The version from which a list of active namespaces can be asked for: 1.1.
const ACTIVE_LIST_SINCE: u32 = 0x0001_0100;
/// How long a controller has to shut down if it does not say.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);
/// The longest it may take, whatever it says: the bus waits for its driver.
const LONGEST_SHUTDOWN: Duration = Duration::from_secs(2);

/// What of it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControllerFacts {
    pub(crate) serial: String,
    pub(crate) model: String,
    pub(crate) firmware: String,
    /// The largest transfer in bytes; `None` if there is no limit.
    pub(crate) largest: Option<u64>,
    /// The highest number that a namespace can have.
    pub(crate) namespaces: u32,
    /// It can say which namespaces are active.
    pub(crate) lists_active: bool,
    /// It knows Dataset Management.
    pub(crate) deallocates: bool,
    /// It knows Write Zeroes.
    pub(crate) writes_zeroes: bool,
    /// It has a volatile write cache.
    pub(crate) caches_writes: bool,
    /// It takes scatter-gather lists.
    pub(crate) scatters: bool,
    /// It reports changes of namespaces.
    pub(crate) reports_namespaces: bool,
    /// Queue entries may be of 64 and 16 bytes.
    pub(crate) has_entry_sizes: bool,
    /// How long it has to shut down.
    pub(crate) shutdown_limit: Duration,
}

impl ControllerFacts {
    /// Reads the page. No value of it can be wrong in itself; what cannot be driven is for the
    /// caller to judge.
    pub(crate) fn parse(page: &[u8]) -> Self {
        let byte = |at| number::<1>(page, at);
        let within = |at, size| byte(at) & 0xf <= size && byte(at) >> 4 >= size;
        let onces = number::<2>(page, 520);
        // Bits 1:0 say whether, and with what alignment: 01b none, 10b dwords. Pages have both.
        let sgl = number::<4>(page, 536) & 3;
        let shutdown = number::<4>(page, 88);
        Self {
            serial: text(page.get(4..24).unwrap_or_default()),
            model: text(page.get(24..64).unwrap_or_default()),
            firmware: text(page.get(64..72).unwrap_or_default()),
            largest: largest(byte(77)),
            namespaces: number::<4>(page, 516) as u32,
            lists_active: number::<4>(page, 80) as u32 >= ACTIVE_LIST_SINCE,
            deallocates: onces & 1 << 2 != 0,
            writes_zeroes: onces & 1 << 3 != 0,
            caches_writes: byte(525) & 1 != 0,
            scatters: sgl == 1 || sgl == 2,
            reports_namespaces: number::<4>(page, 92) & 1 << 8 != 0,
            has_entry_sizes: within(512, 6) && within(513, 4),
            shutdown_limit: match shutdown {
                0 => SHUTDOWN_LIMIT,
                micros => Duration::from_micros(micros).min(LONGEST_SHUTDOWN),
            },
        }
    }
}

/// MDTS: a power of two of pages of 4 KiB; 0, or more than can be counted, is no limit.
fn largest(mdts: u64) -> Option<u64> {
    match mdts {
        1..=51 => Some(4096 << mdts),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[4..24].copy_from_slice(b"lab                 ");
        page[24..64].copy_from_slice(b"QEMU NVMe Ctrl                          ");
        page[64..72].copy_from_slice(b"10.0.8  ");
        page[77] = 7;
        page[80..84].copy_from_slice(&0x0001_0400u32.to_le_bytes());
        page[93] = 1;
        page[512..514].copy_from_slice(&[0x66, 0x44]);
        page[516..520].copy_from_slice(&256u32.to_le_bytes());
        page[520] = 0x5d | 0x0c;
        page[525] = 7;
        page[536] = 1;
        page
    }

    #[test]
    fn a_controller_is_described() {
        let facts = ControllerFacts::parse(&page());
        assert_eq!((&*facts.serial, &*facts.model), ("lab", "QEMU NVMe Ctrl"));
        assert_eq!(facts.firmware, "10.0.8");
        assert_eq!(facts.largest, Some(512 << 10));
        assert_eq!((facts.namespaces, facts.lists_active), (256, true));
        assert!(facts.deallocates && facts.writes_zeroes && facts.caches_writes);
        assert!(facts.scatters && facts.reports_namespaces && facts.has_entry_sizes);
        assert_eq!(facts.shutdown_limit, SHUTDOWN_LIMIT);
    }

    #[test]
    fn what_a_controller_does_not_offer_is_not_assumed() {
        let facts = ControllerFacts::parse(&[0; 4096]);
        assert_eq!((facts.largest, facts.namespaces), (None, 0));
        assert!(!facts.deallocates && !facts.writes_zeroes && !facts.caches_writes);
        assert!(!facts.scatters && !facts.reports_namespaces && !facts.has_entry_sizes);
        assert!(!facts.lists_active);
    }

    #[test]
    fn numbers_out_of_all_proportion_do_no_harm() {
        let facts = ControllerFacts::parse(&[0xff; 4096]);
        assert_eq!(facts.largest, None);
        assert_eq!(facts.shutdown_limit, LONGEST_SHUTDOWN);
        assert!(!facts.scatters, "11b is reserved");
        assert!(!facts.has_entry_sizes, "the smallest is larger than ours");
        assert_eq!(facts.serial, "");
        let mut page = page();
        page[512] = 0x55;
        assert!(!ControllerFacts::parse(&page).has_entry_sizes);
    }
}
