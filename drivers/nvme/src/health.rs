//! A controller's health: the SMART log page (NVM Express 1.4, figure 196); pure.

use core::fmt;

use crate::bytes::number;

/// What a controller says of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Bits of what is critical: spare low, temperature, reliability, read only, backup, memory.
    pub critical: u8,
    /// In Kelvin.
    pub temperature: u16,
    /// Of the spare blocks are left, in percent.
    pub spare: u8,
    /// Of the life is used, in percent; may be more than 100.
    pub used: u8,
    /// Read, in units of 512,000 bytes.
    pub units_read: u128,
    /// Written, in the same units.
    pub units_written: u128,
    /// Hours it was on.
    pub hours: u128,
    /// Times it lost power without being told before.
    pub unsafe_shutdowns: u128,
    /// Errors of the media.
    pub media_errors: u128,
}

/// What each bit of [`Health::critical`] says.
const WARNINGS: [&str; 6] = [
    "spare is low",
    "temperature is out of range",
    "reliability is degraded",
    "media is read only",
    "backup of the memory failed",
    "persistent memory is unreliable",
];

impl Health {
    pub(crate) fn parse(page: &[u8]) -> Self {
        let byte = |at| number::<1>(page, at) as u8;
        let large =
            |at| u128::from(number::<8>(page, at + 8)) << 64 | u128::from(number::<8>(page, at));
        Self {
            critical: byte(0),
            temperature: number::<2>(page, 1) as u16,
            spare: byte(3),
            used: byte(5),
            units_read: large(32),
            units_written: large(48),
            hours: large(128),
            unsafe_shutdowns: large(144),
            media_errors: large(160),
        }
    }

    /// What is critical, in words.
    pub fn warnings(&self) -> impl Iterator<Item = &'static str> {
        words(self.critical)
    }

    /// What is critical that was not `before`, in words.
    pub(crate) fn new_warnings(&self, before: Option<&Self>) -> impl Iterator<Item = &'static str> {
        words(self.critical & !before.map_or(0, |before| before.critical))
    }
}

fn words(critical: u8) -> impl Iterator<Item = &'static str> {
    let bits = WARNINGS.into_iter().enumerate();
    bits.filter_map(move |(bit, text)| (critical & 1 << bit != 0).then_some(text))
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let degrees = i32::from(self.temperature) - 273;
        write!(
            f,
            "{degrees} C, {} % spare, {} % used, {} hours, {} media errors",
            self.spare, self.used, self.hours, self.media_errors
        )?;
        self.warnings()
            .try_for_each(|warning| write!(f, "; {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_read_as_the_specification_has_it() {
        let mut page = vec![0; 512];
        page[0] = 0b1001;
        page[1..3].copy_from_slice(&323u16.to_le_bytes());
        page[3] = 100;
        page[5] = 255;
        page[32] = 7;
        page[48 + 8] = 1;
        page[128] = 24;
        page[160] = 2;
        let health = Health::parse(&page);
        assert_eq!((health.units_read, health.units_written), (7, 1 << 64));
        let text = "50 C, 100 % spare, 255 % used, 24 hours, 2 media errors; spare is low; \
                    media is read only";
        assert_eq!(health.to_string(), text);
    }

    #[test]
    fn a_page_of_ones_is_only_odd() {
        let health = Health::parse(&[0xff; 512]);
        assert_eq!(health.warnings().count(), 6);
        assert_eq!(health.hours, u128::MAX);
    }
}
