//! The range of a provider that a command works on.

use alloc::format;
use alloc::string::String;

use exec::Executor;
use geom::{Access, Device, Errno, Geom, OpenError};

use crate::request::ByteRange;

/// What commands on providers need.
pub(super) struct Disks<'parts> {
    pub(super) geom: &'parts Geom,
    pub(super) exec: &'parts Executor,
}

/// An open provider, and a range that lies inside it.
pub(super) struct Target {
    command: &'static str,
    pub(super) name: String,
    pub(super) device: Device,
    /// Bytes.
    pub(super) sector: u64,
    pub(super) range: ByteRange,
}

impl Target {
    pub(super) fn open_to_read(
        disks: &Disks<'_>,
        command: &'static str,
        name: &str,
        range: Option<ByteRange>,
    ) -> Result<Self, String> {
        Self::open(disks, command, name, range, Access::READ)
    }

    /// The range must be whole sectors.
    pub(super) fn open_to_write(
        disks: &Disks<'_>,
        command: &'static str,
        name: &str,
        range: Option<ByteRange>,
    ) -> Result<Self, String> {
        let target = Self::open(disks, command, name, range, Access::READ_WRITE)?;
        let ByteRange { offset, length } = target.range;
        if offset % target.sector != 0 || length % target.sector != 0 {
            let sector = target.sector;
            return Err(format!(
                "{command}: {name}: {length} bytes at {offset} are not whole sectors of {sector}"
            ));
        }
        Ok(target)
    }

    fn open(
        disks: &Disks<'_>,
        command: &'static str,
        name: &str,
        range: Option<ByteRange>,
        access: Access,
    ) -> Result<Self, String> {
        let device = disks.geom.open_as(name, access, "shell");
        let device = device.map_err(|error| refusal(command, name, &error))?;
        let size = device.media_size();
        let range = range.unwrap_or(ByteRange {
            offset: 0,
            length: size,
        });
        let ByteRange { offset, length } = range;
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(format!(
                "{command}: {name}: {length} bytes at {offset} reach beyond its end, {size}"
            ));
        }
        Ok(Self {
            command,
            name: name.into(),
            sector: u64::from(device.sector_size()),
            device,
            range,
        })
    }

    /// The error of a request, as a line for the console.
    pub(super) fn failed(&self, errno: Errno) -> String {
        format!("{}: {}: {errno}", self.command, self.name)
    }
}

/// Why a provider cannot be opened, as a line for the console.
fn refusal(command: &str, name: &str, error: &OpenError) -> String {
    if error.errno == Errno::NotFound {
        return format!("{command}: {}: no such provider", name.escape_debug());
    }
    let mut text = format!("{command}: {name}: {}", error.errno);
    if error.provider != name {
        text += &format!(" at {}", error.provider);
    }
    if let Some(holder) = &error.holder {
        text += &format!(", held by {holder}");
    }
    text
}
