//! Who boots against whom.

use anyhow::Result;
use lab::{Disk, Nest};

/// A guest to boot.
pub(super) struct Guest {
    /// What it is called, also in dom0.
    pub(super) name: &'static str,
    /// What it prints when it has booted.
    pub(super) marker: &'static str,
    /// The lines of its config that say what it is.
    config: &'static str,
    /// Whether it has the disk.
    disk: bool,
}

/// In the order of a round.
pub(super) const GUESTS: [Guest; 5] = [
    Guest {
        name: "xenolith",
        marker: "xenolith: ready",
        config: XENOLITH,
        disk: false,
    },
    Guest {
        name: "grub",
        marker: "grub>",
        config: GRUB,
        disk: false,
    },
    Guest {
        name: "linux",
        marker: "LINUX-USER-SPACE",
        config: LINUX,
        disk: false,
    },
    Guest {
        name: "xenolith-disk",
        marker: "xenolith: ready",
        config: XENOLITH,
        disk: true,
    },
    Guest {
        name: "grub-disk",
        marker: "grub>",
        config: GRUB,
        disk: true,
    },
];

const XENOLITH: &str = "kernel = \"/root/xenolith\"\nmemory = 32\n";
/// GRUB's own floor: it takes 64 MiB.
const GRUB: &str = "kernel = \"/usr/lib/grub-xen/grub-x86_64-xen.bin\"\nmemory = 64\n";
const LINUX: &str = "kernel = \"/root/linux/kernel\"\nramdisk = \"/root/linux/initrd\"\n\
    memory = 256\ncmdline = \"console=hvc0 quiet\"\n";

/// Linux's first program: it says that it runs, and waits.
const INIT: &str = "#!/bin/busybox sh\necho LINUX-USER-SPACE\nexec /bin/busybox sleep 86400\n";

impl Guest {
    fn config_path(&self) -> String {
        format!("/root/bench/{}.cfg", self.name)
    }

    /// How the measuring program is told of it.
    pub(super) fn argument(&self) -> String {
        format!("'{}:{}:{}'", self.name, self.config_path(), self.marker)
    }

    /// Puts its config into dom0.
    pub(super) fn prepare(&self, nest: &Nest, disk: &Disk) -> Result<()> {
        let mut text = format!(
            "name = \"{}\"\ntype = \"pv\"\nvcpus = 1\n{}",
            self.name, self.config
        );
        if self.disk {
            text.push_str(&format!("disk = [\"{}\"]\n", disk.xl("xvda", "rw")));
        }
        nest.put(&self.config_path(), text.as_bytes())
    }
}

/// Makes a kernel and an initrd for the Linux guest of what dom0 has.
pub(super) fn prepare_linux(nest: &Nest) -> Result<()> {
    nest.check("mkdir -p /root/bench /root/linux/root/bin /root/linux/root/dev")?;
    nest.put("/root/linux/root/init", INIT.as_bytes())?;
    nest.check(
        "cd /root/linux && cp /boot/vmlinuz-* kernel && cp /bin/busybox root/bin/ && \
         chmod +x root/init && mknod root/dev/console c 5 1 && \
         (cd root && find . | busybox cpio -o -H newc 2>/dev/null | gzip) > initrd",
    )?;
    Ok(())
}
