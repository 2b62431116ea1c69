//! Requests, and what they must come to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use geom::{Access, Device, Errno};

use super::{Diary, Life};
use crate::{Blkback, Disk};

/// Bytes of a region; a request keeps to one that no other request uses.
const REGION: u64 = 32 << 10;

/// A request's right to its region.
pub(super) struct Region {
    number: u64,
    busy: Rc<RefCell<Vec<u64>>>,
    diary: Rc<Diary>,
}

impl Drop for Region {
    fn drop(&mut self) {
        self.busy
            .borrow_mut()
            .retain(|number| *number != self.number);
        self.diary.pending.set(self.diary.pending.get() - 1);
    }
}

/// Bytes to be written, different for each seed.
pub(super) fn noise(seed: u64, length: u64) -> Vec<u8> {
    let bytes = (0..length).map(|i| (seed >> (i % 57)).to_le_bytes()[0]);
    bytes.collect()
}

impl Life {
    /// Starts a write, a flush and a read of the same bytes, or a read alone, on a disk or on a
    /// partition of it.
    pub(super) fn start_io(&self, index: usize) {
        let slot = &self.slots[index];
        // Until the backend is connected, a disk of that name is the former one, on its way out.
        if !slot.backend.as_ref().is_some_and(Blkback::is_connected) {
            return;
        }
        let geom = &self.storage.guest.geom;
        let names: Vec<_> = geom
            .providers()
            .into_iter()
            .filter(|provider| provider.name.starts_with(&slot.name) && provider.error.is_none())
            .collect();
        if names.is_empty() {
            return;
        }
        let provider = &names[self.rng.index(names.len())];
        let write = self.rng.one_in(2);
        let access = if write {
            Access::READ_WRITE
        } else {
            Access::READ
        };
        // Refused while another holds it: that is as it should be.
        let Ok(device) = geom.open(&provider.name, access) else {
            return;
        };
        let sector = u64::from(provider.sector_size);
        let Some((region, offset, length)) = self.choose(index, provider.offset, &device) else {
            return;
        };
        let seed = self.rng.next();
        let verb = if write { "writes" } else { "reads" };
        let name = &provider.name;
        self.note(format!(
            "somebody {verb} {length} bytes at {offset} of {name}"
        ));
        let job = Job {
            device,
            offset,
            bytes: noise(seed, length),
            write,
            disk: slot.disk.clone(),
            on_disk: provider.offset + offset,
            trouble: vec![slot.trouble.clone()],
            served: false,
            diary: self.diary.clone(),
            _region: region,
        };
        debug_assert!(offset.is_multiple_of(sector));
        let _result = self.storage.guest.spawn(&self.storage.world, job.run());
    }

    /// A region of the disk that nobody uses, and a range in it, both as the device counts.
    pub(super) fn choose(
        &self,
        index: usize,
        base: u64,
        device: &Device,
    ) -> Option<(Region, u64, u64)> {
        let rng = &self.rng;
        let slot = &self.slots[index];
        let sector = u64::from(device.sector_size()).max(512);
        // The first region may hold a partition table.
        let first = base.max(REGION).next_multiple_of(REGION);
        let end = base + device.media_size();
        let regions = end.checked_sub(first)? / REGION;
        if regions == 0 {
            return None;
        }
        let number = first / REGION + rng.below(regions);
        if slot.busy.borrow().contains(&number) {
            return None;
        }
        let start = rng.below(REGION / sector) * sector;
        let length = (1 + rng.below((REGION - start) / sector)) * sector;
        slot.busy.borrow_mut().push(number);
        self.diary.pending.set(self.diary.pending.get() + 1);
        let region = Region {
            number,
            busy: slot.busy.clone(),
            diary: self.diary.clone(),
        };
        Some((
            region,
            number * REGION + start - base,
            length.min(REGION - start),
        ))
    }
}

pub(super) struct Job {
    pub(super) device: Device,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) write: bool,
    pub(super) disk: Disk,
    pub(super) on_disk: u64,
    /// What its failure may be blamed on.
    pub(super) trouble: Vec<Rc<Cell<bool>>>,
    /// Another domain asks, which is served the disk.
    pub(super) served: bool,
    pub(super) diary: Rc<Diary>,
    pub(super) _region: Region,
}

impl Job {
    fn is_troubled(&self) -> bool {
        self.trouble.iter().any(|trouble| trouble.get())
    }

    pub(super) async fn run(self) {
        let diary = self.diary.clone();
        match self.work().await {
            Ok(()) => {
                diary.ended_well.set(diary.ended_well.get() + 1);
                let served = u64::from(self.served);
                diary.served.set(diary.served.get() + served);
            }
            Err(error) => {
                diary.failed.set(diary.failed.get() + 1);
                if !self.is_troubled() {
                    self.complain(&format!("failed without a cause: {error}"));
                }
            }
        }
    }

    fn complain(&self, what: &str) {
        let (name, offset) = (self.device.name(), self.offset);
        let complaint = format!("{name}: a request at {offset} {what}");
        self.diary.complaints.borrow_mut().push(complaint);
    }

    async fn work(&self) -> Result<(), Errno> {
        let length = self.bytes.len();
        let expected = if self.write {
            self.device.write(self.offset, self.bytes.clone()).await?;
            match self.device.flush().await {
                Ok(()) | Err(Errno::NotSupported) => {}
                Err(error) => return Err(error),
            }
            if self.disk.bytes(self.on_disk, length) != self.bytes {
                self.complain("is not on the disk after its flush");
            }
            self.bytes.clone()
        } else {
            self.disk.bytes(self.on_disk, length)
        };
        let found = self.device.read(self.offset, length).await?;
        if found != expected {
            self.complain("read other bytes than there are");
        }
        Ok(())
    }
}
