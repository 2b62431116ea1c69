//! What a function is.

use core::fmt;

/// What a function says it is, in the first words of its configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// Who made it.
    pub vendor: u16,
    /// Which of theirs it is.
    pub device: u16,
    /// Class, subclass and programming interface, 8 bits each: 0x010802 is NVMe.
    pub class: u32,
    /// The revision.
    pub revision: u8,
}

impl Id {
    /// From the words at 0 and 8 of the configuration space; `None` where no function is.
    pub(crate) fn from_words(id: u32, class: u32) -> Option<Self> {
        let [v0, v1, d0, d1] = id.to_le_bytes();
        let [revision, ..] = class.to_le_bytes();
        let vendor = u16::from_le_bytes([v0, v1]);
        // All ones is what a bus reads where nobody answers; Linux's backend says 0.
        (vendor != 0 && vendor != u16::MAX).then_some(Self {
            vendor,
            device: u16::from_le_bytes([d0, d1]),
            class: class >> 8,
            revision,
        })
    }
}

/// As FreeBSD's pciconf has it.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vendor,
            device,
            class,
            revision,
        } = self;
        write!(
            f,
            "class={class:#08x} rev={revision:#04x} vendor={vendor:#06x} device={device:#06x}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_from_the_first_words_and_nobody_has_none() {
        let id = Id::from_words(0x0010_1b36, 0x0108_0202).expect("it is one");
        assert_eq!(
            id.to_string(),
            "class=0x010802 rev=0x02 vendor=0x1b36 device=0x0010"
        );
        assert_eq!(Id::from_words(u32::MAX, 0), None);
        assert_eq!(Id::from_words(0, 0), None);
    }
}
