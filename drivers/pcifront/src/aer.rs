//! Errors of devices that the backend reports (PCI Express's advanced error reporting).

use xen_abi::io::pciif::{
    AER_DETECTED, AER_MMIO, AER_OP, AER_RESUME, AER_SLOTRESET, BUS, CMD, DEVFN, DOMAIN, ERR, SIZE,
};

use crate::Address;

/// Bytes of a report.
pub(crate) const REPORT: usize = SIZE - AER_OP;

/// What the backend says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An error. `fatal`: the device does not answer any more.
    Detected { fatal: bool },
    /// The device's registers can be read again.
    Readable,
    /// The device was reset.
    Reset,
    /// The device may go on.
    Resume,
}

/// What is answered (Linux's `pci_ers_result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody knows what to say: no such function, or no such report.
    None = 1,
    /// It goes on as it is.
    CanRecover = 2,
    /// It is to be reset.
    NeedReset = 3,
    /// It goes on.
    Recovered = 5,
}

/// A report: about a function, if there can be such a one, and what it says, if that has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) address: Option<Address>,
    pub(crate) kind: Option<Kind>,
}

impl Report {
    /// From a copy of the report.
    pub(crate) fn decode(bytes: &[u8; REPORT]) -> Self {
        let word = |at: usize| {
            let field = bytes.get(at..at + 4).and_then(|field| field.first_chunk());
            u32::from_le_bytes(field.copied().unwrap_or_default())
        };
        let address = || {
            let devfn = u8::try_from(word(DEVFN)).ok()?;
            Some(Address {
                domain: u16::try_from(word(DOMAIN)).ok()?,
                bus: u8::try_from(word(BUS)).ok()?,
                slot: devfn >> 3,
                function: devfn & 7,
            })
        };
        let kind = match word(CMD) {
            // 1 is `pci_channel_io_normal`; 2 and 3 are frozen and broken for good.
            AER_DETECTED => Some(Kind::Detected {
                fatal: word(ERR) != 1,
            }),
            AER_MMIO => Some(Kind::Readable),
            AER_SLOTRESET => Some(Kind::Reset),
            AER_RESUME => Some(Kind::Resume),
            _ => None,
        };
        Self {
            address: address(),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(words: [u32; 5]) -> Report {
        let mut bytes = [0; REPORT];
        for (field, word) in bytes.chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        Report::decode(&bytes)
    }

    #[test]
    fn a_report_names_a_function_and_says_what_happened() {
        let fatal = report([6, 2, 0, 1, 0x0a]);
        let address = fatal.address.expect("there can be such a function");
        assert_eq!(address.to_string(), "0:1:1:2");
        assert_eq!(fatal.kind, Some(Kind::Detected { fatal: true }));
        let normal = report([6, 1, 0, 0, 0]);
        assert_eq!(normal.kind, Some(Kind::Detected { fatal: false }));
    }

    #[test]
    fn p02_a_report_of_nothing_that_can_be_is_known_as_such() {
        for words in [
            [99, 0, 0, 0, 0],
            [6, 0, 0x1_0000, 0, 0],
            [6, 0, 0, 256, 0],
            [6, 0, 0, 0, 256],
        ] {
            let report = report(words);
            assert!(report.address.is_none() || report.kind.is_none());
        }
    }
}
