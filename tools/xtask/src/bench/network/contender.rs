//! Who is measured.

use anyhow::{Context, Result};
use lab::network::BRIDGE;
use lab::{Guest, Nest};
use std::time::Duration;

/// Memory of each domain, in MiB.
const MEMORY_MIB: u32 = 256;
/// How long a domain may take to serve.
const LIMIT: Duration = Duration::from_secs(120);
/// Where dom0 has Linux's kernel and initrd, and our image.
const FOLDER: &str = "/root/bench/network";

/// A guest that serves what `dom0::streams` says.
pub(super) struct Contender {
    /// What it is called, also in dom0.
    pub name: &'static str,
    /// Its address, on the command line of both.
    pub address: &'static str,
    /// The lines of its config that say what it is.
    system: &'static str,
    /// What it prints when it serves.
    marker: &'static str,
}

/// What is measured, and its peer.
pub(super) const CONTENDERS: [Contender; 2] = [
    Contender {
        name: "xenolith",
        address: "10.0.0.2",
        system: "kernel = \"/root/bench/network/streams.image\"\ncmdline = \"ip=10.0.0.2/24\"\n",
        marker: "serving",
    },
    Contender {
        name: "linux",
        address: "10.0.0.3",
        system: "kernel = \"/root/bench/network/kernel\"\n\
                 ramdisk = \"/root/bench/network/initrd\"\n\
                 cmdline = \"console=hvc0 quiet ADDRESS=10.0.0.3\"\n",
        marker: "serving",
    },
];

/// Puts into dom0 what they are made of. `image` is ours: `boot/examples/streams.rs`.
pub(super) fn prepare(nest: &Nest, image: &[u8]) -> Result<()> {
    nest.network()?;
    nest.check(&format!("mkdir -p {FOLDER}"))?;
    nest.put(&format!("{FOLDER}/streams.image"), image)?;
    nest.put(&format!("{FOLDER}/init"), include_bytes!("init.sh"))?;
    nest.put(&format!("{FOLDER}/linux.sh"), include_bytes!("linux.sh"))?;
    nest.check(&format!(
        "bash {FOLDER}/linux.sh {FOLDER} /root/bench/streams"
    ))?;
    Ok(())
}

/// A contender that runs.
pub(super) struct Runs<'nest> {
    pub contender: &'static Contender,
    /// Its domain.
    pub domain: u32,
    guest: Guest<'nest>,
}

impl Contender {
    /// Starts it, and waits until it answers. The emulated machine's clock is emulated again for
    /// a PV guest unless it is `native`; on a real machine it is not.
    pub(super) fn start<'nest>(&'static self, nest: &'nest Nest) -> Result<Runs<'nest>> {
        let (system, name) = (self.system, self.name);
        let config = format!(
            "type = \"pv\"\nvcpus = 1\nmemory = {MEMORY_MIB}\ntsc_mode = \"native\"\n\
             vif = [\"bridge={BRIDGE},script=/run/lab/vif\"]\n{system}"
        );
        let mut guest = nest.create_guest(name, &config)?;
        guest.wait_for(self.marker, LIMIT)?;
        let address = self.address;
        nest.check(&format!(
            "for i in {{1..30}}; do ping -q -c 1 -W 1 {address} && exit; done; exit 1"
        ))
        .with_context(|| format!("{name} does not answer"))?;
        Ok(Runs {
            contender: self,
            domain: guest.id()?,
            guest,
        })
    }
}

impl Runs<'_> {
    /// Ends it.
    pub(super) fn end(self) -> Result<()> {
        self.guest.destroy()
    }
}
