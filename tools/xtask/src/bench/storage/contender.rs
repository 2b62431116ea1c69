//! Who serves the disks.

use anyhow::{Context, Result};
use lab::Nest;

/// The size of each memory-backed export, and of each disk of dom0's that is exported again.
pub(super) const EXPORT_MIB: u32 = 128;
/// Memory of each domain: Linux's needs, with the export in it.
pub(super) const MEMORY_MIB: u32 = 384;

/// A storage driver domain.
pub(super) struct Contender {
    /// What it is called, also in dom0.
    pub name: &'static str,
    system: System,
    /// The least memory that it is known to do with, in MiB, for exports next to nothing.
    pub least_memory_mib: u32,
}

#[derive(Clone, Copy)]
enum System {
    Xenolith,
    /// With a parameter for xen-blkback.
    Linux(&'static str),
}

/// What is measured.
pub(super) const XENOLITH: Contender = Contender {
    name: "xenolith",
    system: System::Xenolith,
    least_memory_mib: 12,
};

/// Its peer.
pub(super) const LINUX: Contender = Contender {
    name: "linux",
    system: System::Linux(""),
    least_memory_mib: 96,
};

/// The peer's other setting: it maps and unmaps each page anew.
pub(super) const LINUX_MAPPING: Contender = Contender {
    name: "linux-mapping",
    system: System::Linux("feature_persistent=0"),
    least_memory_mib: 96,
};

/// The peer once more, to see what the measurement itself finds between equals.
pub(super) const LINUX_AGAIN: Contender = Contender {
    name: "linux-again",
    system: System::Linux(""),
    least_memory_mib: 96,
};

/// Where dom0 has Linux's kernel and initrd.
pub(super) const LINUX_FOLDER: &str = "/root/bench/linux";

/// The disk of a controller that is passed through to Linux.
const NVME_IN_LINUX: &str = "/dev/nvme0n1";

/// What a domain is given, beside its own memory.
#[derive(Clone, Copy, Default)]
pub(super) struct Disks<'a> {
    /// A disk of dom0's, as xl's config has it.
    pub vbd: Option<&'a str>,
    /// Where the NVMe controller is that is passed through to it.
    pub controller: Option<&'a str>,
}

impl Contender {
    /// The config of a domain of this `name`, with an export of `export_mib` in its memory and
    /// these disks. Both systems are given the same, and nothing for one job alone. The
    /// emulated machine's clock is emulated once more for a PV guest unless it is `native`; on a
    /// real machine it is not.
    pub(super) fn config(
        &self,
        name: &str,
        memory_mib: u32,
        export_mib: u32,
        Disks { vbd, controller }: Disks<'_>,
    ) -> String {
        let system = match self.system {
            System::Xenolith => {
                format!("kernel = \"/root/xenolith\"\ncmdline = \"md=ram:{export_mib}M\"\n")
            }
            System::Linux(blkback) => format!(
                "kernel = \"{LINUX_FOLDER}/kernel\"\nramdisk = \"{LINUX_FOLDER}/initrd\"\n\
                 cmdline = \"console=hvc0 quiet RAM_KIB={} BLKBACK={blkback} WAIT={}\"\n",
                export_mib * 1024,
                controller.map_or("", |_| NVME_IN_LINUX),
            ),
        };
        let vbd = vbd.map(|vbd| format!("disk = [\"{vbd}\"]\n"));
        let pci = controller.map(|place| format!("pci = [\"{place}\"]\n"));
        format!(
            "name = \"{name}\"\ntype = \"pv\"\ndriver_domain = 1\nvcpus = 1\n\
             memory = {memory_mib}\ntsc_mode = \"native\"\n{system}{}{}",
            vbd.unwrap_or_default(),
            pci.unwrap_or_default()
        )
    }

    /// What it prints when it serves.
    pub(super) fn marker(&self) -> &'static str {
        match self.system {
            System::Xenolith => "xenolith: ready",
            System::Linux(_) => "LINUX-SERVES",
        }
    }

    /// What libxl's `target` names: the export in the domain's memory.
    pub(super) fn memory_target(&self) -> &'static str {
        match self.system {
            System::Xenolith => "md0",
            System::Linux(_) => "/dev/ram0",
        }
    }

    /// What libxl's `target` names: the disk that the domain has from dom0.
    pub(super) fn disk_target(&self) -> &'static str {
        match self.system {
            System::Xenolith => "xbd0",
            System::Linux(_) => "/dev/xvda",
        }
    }

    /// What libxl's `target` names: the disk of the controller that is passed through to it.
    pub(super) fn nvme_target(&self) -> &'static str {
        match self.system {
            System::Xenolith => "nvd0",
            System::Linux(_) => NVME_IN_LINUX,
        }
    }

    /// Bytes of all that `xl create` loads.
    pub(super) fn image_bytes(&self, nest: &Nest) -> Result<u64> {
        let files = match self.system {
            System::Xenolith => "/root/xenolith".to_owned(),
            System::Linux(_) => format!("{LINUX_FOLDER}/kernel {LINUX_FOLDER}/initrd"),
        };
        let said = nest.check(&format!("cat {files} | wc -c"))?;
        said.trim()
            .parse()
            .with_context(|| format!("no size: {said:?}"))
    }
}
