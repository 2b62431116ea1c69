//! What a taster may see of a provider: its sizes, and the sectors that were read for it so far.
//!
//! A taster is a pure function. It asks a [`Media`] for bytes; what is not there yet comes back as
//! a [`Need`], the taster returns it, the core reads that range and runs the taster again from its
//! start. Each sector is kept as it was first read, so metadata that changes between two reads is
//! never seen in two versions. A taster can neither read beyond the media nor make the core hold
//! more than [`BUDGET`] bytes, whatever the metadata says.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// Bytes that all tasters of one provider may ask for together: the two largest GPT entry arrays
/// we read (512 KiB each) and room for everything small beside them.
pub const BUDGET: u64 = (1 << 20) + (64 << 10);

/// The largest sector size a provider may have, in bytes.
pub const SECTOR_SIZE_MAX: u32 = 64 << 10;

/// A range of bytes that must be read before a taster can go on.
///
/// Both numbers are multiples of the sector size, the range lies inside the media and is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// First byte, counted from the start of the media.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// Why bytes will never be there, however often the taster is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The device failed to read one of the sectors.
    Failed,
    /// The range is not wholly inside the media, or not made of whole sectors.
    OutOfRange,
    /// The range would exceed [`BUDGET`].
    OverBudget,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "cannot be read",
            Self::OutOfRange => "is not inside the media",
            Self::OverBudget => "is larger than a taste may read",
        })
    }
}

/// The sizes given for a provider, or the bytes supplied for it, make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaError {
    /// The sector size is not a power of two from 512 to [`SECTOR_SIZE_MAX`].
    SectorSize(u32),
    /// Supplied bytes are empty, not whole sectors, or reach beyond the media.
    Supply {
        /// Where they were said to lie.
        offset: u64,
        /// How many there were.
        length: u64,
    },
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SectorSize(size) => write!(f, "sector size {size} is not usable"),
            Self::Supply { offset, length } => {
                write!(
                    f,
                    "{length} bytes at {offset} are not sectors of this media"
                )
            }
        }
    }
}

impl core::error::Error for MediaError {}

/// What is known of one sector. One that nobody asked for has no entry.
enum Slot {
    Data(Box<[u8]>),
    /// A read of several sectors failed and this was one of them; it must be read by itself.
    Suspect,
    Failed,
}

/// A provider as its tasters see it. See the module text.
pub struct Media {
    sector_size: u32,
    sector_count: u64,
    slots: BTreeMap<u64, Slot>,
}

impl Media {
    /// A media of `media_size` bytes of which nothing was read yet. A part of a sector at the end
    /// is not counted; a media without sectors is allowed.
    ///
    /// # Errors
    /// [`MediaError::SectorSize`].
    pub fn new(media_size: u64, sector_size: u32) -> Result<Self, MediaError> {
        if !sector_size.is_power_of_two() || !(512..=SECTOR_SIZE_MAX).contains(&sector_size) {
            return Err(MediaError::SectorSize(sector_size));
        }
        let sector_count = media_size / u64::from(sector_size);
        Ok(Self {
            sector_size,
            sector_count,
            slots: BTreeMap::new(),
        })
    }

    /// Bytes in whole sectors.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.sector_count * u64::from(self.sector_size)
    }

    /// Bytes in one sector.
    #[must_use]
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// Number of whole sectors.
    #[must_use]
    pub fn sector_count(&self) -> u64 {
        self.sector_count
    }

    /// Bytes held now, never more than [`BUDGET`].
    #[must_use]
    pub fn held(&self) -> u64 {
        self.slots.len() as u64 * u64::from(self.sector_size)
    }

    /// The `length` bytes at `offset`, both multiples of the sector size.
    ///
    /// Two layers of result, because they mean two things to a taster: the outer one is passed on
    /// with `?`, the inner one is judged.
    ///
    /// # Errors
    /// The outer error is what the core must read first; the inner one says that these bytes will
    /// never come.
    pub fn read(&self, offset: u64, length: u64) -> Result<Result<Vec<u8>, Unreadable>, Need> {
        let (first, count) = match self.fetch(offset, length)? {
            Ok(sectors) => sectors,
            Err(why) => return Ok(Err(why)),
        };
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        for (_, slot) in self.slots.range(first..first + count) {
            if let Slot::Data(data) = slot {
                bytes.extend_from_slice(data);
            }
        }
        Ok(Ok(bytes))
    }

    /// As [`read`](Self::read) without the bytes: has a range read in one go, so that the small
    /// reads after it find it there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_ahead(&self, offset: u64, length: u64) -> Result<Result<(), Unreadable>, Need> {
        Ok(self.fetch(offset, length)?.map(|_| ()))
    }

    /// As [`read`](Self::read), for one sector by its number (LBA).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_sector(&self, lba: u64) -> Result<Result<Vec<u8>, Unreadable>, Need> {
        if lba >= self.sector_count {
            return Ok(Err(Unreadable::OutOfRange));
        }
        self.read(
            lba * u64::from(self.sector_size),
            u64::from(self.sector_size),
        )
    }

    /// Puts in bytes the core has read. Sectors that are there already keep their first value, and
    /// what would exceed [`BUDGET`] is dropped.
    ///
    /// # Errors
    /// [`MediaError::Supply`] if these are not whole sectors of this media; nothing is kept then.
    pub fn supply(&mut self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let length = bytes.len() as u64;
        let (first, _) = self
            .sectors(offset, length)
            .ok_or(MediaError::Supply { offset, length })?;
        for (sector, data) in (first..).zip(bytes.chunks_exact(self.sector_size as usize)) {
            let wanted = match self.slots.get(&sector) {
                Some(Slot::Suspect) => true,
                Some(Slot::Data(_) | Slot::Failed) => false,
                None => self.affords(1),
            };
            if wanted {
                self.slots.insert(sector, Slot::Data(data.into()));
            }
        }
        Ok(())
    }

    /// Tells that reading `need` failed. If it was one sector, that sector is bad; of several, each
    /// will be asked for by itself, so that one bad sector does not hide its neighbours.
    pub fn supply_error(&mut self, need: Need) {
        let Some((first, count)) = self.sectors(need.offset, need.length) else {
            return;
        };
        for sector in (first..first + count).take((BUDGET / 512) as usize) {
            let known = self.slots.get(&sector);
            if matches!(known, Some(Slot::Data(_) | Slot::Failed)) {
                continue;
            }
            if known.is_some() || self.affords(1) {
                let slot = if count == 1 {
                    Slot::Failed
                } else {
                    Slot::Suspect
                };
                self.slots.insert(sector, slot);
            }
        }
    }

    /// Finds out whether all sectors of a range are there, and returns their numbers: the first one
    /// and how many.
    fn fetch(&self, offset: u64, length: u64) -> Result<Result<(u64, u64), Unreadable>, Need> {
        let Some((first, count)) = self.sectors(offset, length) else {
            return Ok(Err(Unreadable::OutOfRange));
        };
        if count > BUDGET / u64::from(self.sector_size) {
            return Ok(Err(Unreadable::OverBudget));
        }
        let known = || self.slots.range(first..first + count);
        if known().any(|(_, slot)| matches!(slot, Slot::Failed)) {
            return Ok(Err(Unreadable::Failed));
        }
        let mut next = first;
        for (sector, slot) in known() {
            if *sector != next {
                break;
            }
            if matches!(slot, Slot::Suspect) {
                return Err(self.need(next, 1));
            }
            next += 1;
        }
        if next == first + count {
            Ok(Ok((first, count)))
        } else {
            self.ask(next, first + count)
        }
    }

    /// The first sector and the number of sectors of a range, if it is made of whole ones inside
    /// the media and not empty.
    fn sectors(&self, offset: u64, length: u64) -> Option<(u64, u64)> {
        let size = u64::from(self.sector_size);
        let whole = offset.is_multiple_of(size) && length.is_multiple_of(size) && length > 0;
        let inside = offset.checked_add(length)? <= self.size();
        (whole && inside).then_some((offset / size, length / size))
    }

    fn affords(&self, sectors: u64) -> bool {
        let used = self.slots.len() as u64 + sectors;
        used <= BUDGET / u64::from(self.sector_size)
    }

    fn need(&self, sector: u64, count: u64) -> Need {
        let size = u64::from(self.sector_size);
        Need {
            offset: sector * size,
            length: count * size,
        }
    }

    /// Asks for the unknown sectors from `sector` up to the next known one, or to `end`.
    fn ask<T>(&self, sector: u64, end: u64) -> Result<Result<T, Unreadable>, Need> {
        let run_end = self
            .slots
            .range(sector..end)
            .next()
            .map_or(end, |(known, _)| *known);
        if !self.affords(run_end - sector) {
            return Ok(Err(Unreadable::OverBudget));
        }
        Err(self.need(sector, run_end - sector))
    }
}
