//! Where a function is.

use core::fmt;

/// A function's place, as this domain names it: the backend may call it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The PCI domain.
    pub domain: u16,
    /// The bus.
    pub bus: u8,
    /// The device on it, up to 31.
    pub slot: u8,
    /// The function of the device, up to 7.
    pub function: u8,
}

impl Address {
    /// As pciback writes it: `0000:00:00.00`, each part hexadecimal.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (domain, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (slot, function) = rest.split_once('.')?;
        let address = Self {
            domain: hexadecimal(domain, 4)?,
            bus: u8::try_from(hexadecimal(bus, 2)?).ok()?,
            slot: u8::try_from(hexadecimal(slot, 2)?).ok()?,
            function: u8::try_from(hexadecimal(function, 2)?).ok()?,
        };
        (address.slot < 32 && address.function < 8).then_some(address)
    }

    /// Slot and function in one number, as PCI has them.
    #[must_use]
    pub fn devfn(self) -> u8 {
        self.slot << 3 | self.function
    }
}

fn hexadecimal(text: &str, longest: usize) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits && text.len() <= longest {
        u16::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// As FreeBSD's pciconf has it: `0:0:0:0`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            bus,
            slot,
            function,
        } = self;
        write!(f, "{domain}:{bus}:{slot}:{function}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_pciback_writes_it() {
        let address = Address::parse("0001:0a:1f.07").expect("it is one");
        assert_eq!(address.to_string(), "1:10:31:7");
        assert_eq!(address.devfn(), 0xff);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "0000:00:00",
            "0000:00.0",
            "00000:00:00.0",
            "0000:00:20.0",
            "0000:00:00.8",
            "0000:+1:00.0",
            "0000:00:00.",
            "0000:00:00.0 ",
            "0000:000:00.0",
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }
}
