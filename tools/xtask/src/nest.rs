//! A nest with the image in place: what every command that boots one starts from.
//!
//! - [`nvme`]: disks in it that can be passed through

pub(crate) mod nvme;

use std::fs;

use anyhow::{Context, Result};
use lab::{Nest, Options, Suite};
use lexopt::{Parser, ValueExt as _};

use crate::image::build;
use crate::project;

/// What `--help` says of the options that [`Choice::option`] reads.
pub(crate) const OPTIONS: &str =
    "  --suite NAME   trixie (Xen 4.20, the default) or bookworm (Xen 4.17)
  --icount       QEMU's deterministic clock: repeatable, and slower
";

/// Which nest a user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Which Xen and Linux.
    pub suite: Suite,
    /// Whether time is counted in instructions.
    pub icount: bool,
}

impl Choice {
    /// Reads the value of `--NAME` if it is an option that every nest has; else says no.
    pub(crate) fn option(&mut self, name: &str, parser: &mut Parser) -> Result<bool> {
        match name {
            "suite" => self.suite = parser.value()?.string()?.parse()?,
            "icount" => self.icount = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The nest's options.
    pub(crate) fn options(self) -> Options {
        Options {
            suite: self.suite,
            icount: self.icount,
            ..Options::default()
        }
    }
}

/// Boots a nest and puts the image and the configs into its dom0, where a user's shell starts: so
/// `xl create xl-configs/NAME.cfg` finds the image at the same place as in the project.
pub(crate) fn boot(options: &Options) -> Result<Nest> {
    let image = build::paths().image;
    let bytes = fs::read(&image).with_context(|| format!("cannot read {}", image.display()))?;
    let nest = Nest::boot(options)?;
    nest.check("mkdir -p /root/target/xenolith /root/xl-configs")?;
    nest.put("/root/target/xenolith/xenolith", &bytes)?;
    nest.check("ln -sf target/xenolith/xenolith /root/xenolith")?;
    let configs = project::root().join("xl-configs");
    for entry in fs::read_dir(&configs).context("cannot list xl-configs")? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        nest.put(&format!("/root/xl-configs/{name}"), &fs::read(&path)?)?;
    }
    Ok(nest)
}
