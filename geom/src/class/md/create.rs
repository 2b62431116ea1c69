//! Making memory disks, and listing them.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::disk::{DiskError, DiskLimits, DiskParams, LARGEST_MEDIA};
use crate::made::Made;
use crate::mesh::Geom;

use super::disk::MdDisk;
use super::{MdError, Store};

/// The largest request, so that no call of the driver takes long.
const MAX_IO: u64 = 16 << 20;

/// A memory disk, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MdParams {
    /// The unit; `None` for the first that is free.
    pub unit: Option<u32>,
    /// A name for people, which no other memory disk has; may be empty. An open by that name finds
    /// the disk too, and by `<label>p1` its partition.
    pub label: String,
    /// Bytes; whole sectors.
    pub size: u64,
    /// Bytes of a sector: 512 or 4096.
    pub sector_size: u32,
    /// Take all pages now, and keep them.
    pub reserve: bool,
}

impl MdParams {
    /// A thin disk of so many bytes in sectors of 512, under the first free unit.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            unit: None,
            label: String::new(),
            size,
            sector_size: 512,
            reserve: false,
        }
    }

    fn check(&self) -> Result<(), MdError> {
        if !matches!(self.sector_size, 512 | 4096) {
            return Err(MdError::SectorSize(self.sector_size));
        }
        let whole = self.size.is_multiple_of(u64::from(self.sector_size));
        if !whole || self.size == 0 || self.size > LARGEST_MEDIA {
            return Err(MdError::Size(self.size));
        }
        Ok(())
    }
}

/// A memory disk, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MdInfo {
    /// Such as `md0`.
    pub name: String,
    /// The name for people.
    pub label: String,
    /// Bytes.
    pub size: u64,
    /// Bytes.
    pub sector_size: u32,
    /// Bytes of pages it has now.
    pub used: u64,
    /// It keeps all its pages.
    pub reserved: bool,
}

impl Geom {
    /// Makes a memory disk and returns its name. [`destroy`](Self::destroy) with `MD` ends it.
    ///
    /// # Errors
    /// [`MdError`]. A thin disk, too, must not be larger than the memory that is free when it is
    /// made.
    pub fn md_create(&self, params: &MdParams) -> Result<String, MdError> {
        params.check()?;
        if let Some(unit) = params.unit
            && self.has_live_disk(&alloc::format!("md{unit}"))
        {
            return Err(MdError::UnitInUse(unit));
        }
        let same = |md: &MdInfo| !md.label.is_empty() && md.label == params.label;
        if self.mds().iter().any(same) {
            return Err(MdError::LabelInUse(params.label.clone()));
        }
        let pages = self.mesh().pages.borrow().clone();
        let pages = pages.ok_or(MdError::NoSource)?;
        let (size, free) = (params.size, pages.source.free_bytes());
        if size > free {
            return Err(MdError::TooLarge { size, free });
        }
        let page_size = pages.source.page_size() as u64;
        let store = Rc::new(Store::new(pages, params)?);
        let disk = DiskParams {
            class: "MD",
            sector_size: params.sector_size,
            stripe_size: page_size,
            limits: DiskLimits {
                max_io: MAX_IO,
                max_delete: 0,
                can_delete: true,
                can_flush: true,
                can_erase: true,
                delete_granularity: page_size.max(u64::from(params.sector_size)),
            },
            ident: params.label.clone(),
            description: String::from("memory disk"),
            ..DiskParams::new("md", 0, size)
        };
        let driver = Box::new(MdDisk(store.clone()));
        let made = self.mesh().make(disk, params.unit, driver, Made::Md(store));
        made.map_err(|error| match error {
            DiskError::SectorSize(size) => MdError::SectorSize(size),
            _ => MdError::Size(size),
        })
    }

    /// All memory disks, the oldest first.
    #[must_use]
    pub fn mds(&self) -> Vec<MdInfo> {
        let graph = self.graph();
        let info = |(id, made): (_, &Made)| {
            let (disk, Made::Md(store)) = (graph.disks.get(id)?, made) else {
                return None;
            };
            Some(MdInfo {
                name: String::from(&*disk.name),
                label: store.label.clone(),
                size: disk.params.media_size,
                sector_size: disk.params.sector_size,
                used: store.used(),
                reserved: store.reserved,
            })
        };
        graph.made().filter_map(info).collect()
    }

    fn has_live_disk(&self, name: &str) -> bool {
        let graph = self.graph();
        let mut disks = graph.disks.values();
        disks.any(|disk| *disk.name == *name && disk.is_live())
    }
}
