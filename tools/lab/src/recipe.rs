//! What a dom0 and a QEMU are made of. A change here makes a new entry in the cache.

use crate::suite::Suite;
use sha2::{Digest, Sha256};

/// mmdebstrap's first hook: directories no package's files bring.
pub(crate) const LAYOUT: &str = include_str!("dom0/layout.sh");
/// mmdebstrap's hook after unpacking: dom0's files as the nest needs them.
pub(crate) const FINISH: &str = include_str!("dom0/finish.sh");

/// dom0's packages besides Xen's; what they depend on comes with them.
const DOM0: [&str; 40] = [
    "bash",
    "bridge-utils",
    "busybox-static",
    "coreutils",
    "curl",
    "dash",
    "dmsetup",
    "dnsmasq-base",
    "dosfstools",
    "e2fsprogs",
    "ethtool",
    "fdisk",
    "findutils",
    "fio",
    "gdisk",
    "grep",
    "grub-xen-host",
    "gzip",
    "hostname",
    "iproute2",
    "iputils-ping",
    "kmod",
    "libnbd-bin",
    "linux-image-amd64",
    "mawk",
    "mount",
    "nbd-client",
    "nbd-server",
    "parted",
    "procps",
    "python3-minimal",
    "sed",
    "socat",
    "tar",
    "tcpdump",
    "util-linux",
    "xenstore-utils",
    "xxd",
    "xz-utils",
    "zstd",
];

/// QEMU and its firmware, of [`Suite::Trixie`] whatever dom0 is.
pub(crate) const QEMU: [&str; 2] = ["qemu-system-x86", "seabios"];

/// All of dom0's packages.
pub(crate) fn dom0_packages(suite: Suite) -> Vec<String> {
    let xen = suite.xen();
    let mut packages: Vec<String> = DOM0.iter().map(ToString::to_string).collect();
    packages.push(format!("xen-hypervisor-{xen}-amd64{}", archive(suite)));
    packages.push(format!("xen-utils-{xen}"));
    packages
}

/// Which of Debian's archives the hypervisor is of; none: the one with the newest.
fn archive(suite: Suite) -> &'static str {
    match suite {
        Suite::Trixie => "",
        // 4.17.5. What came later as security updates has no shadow page tables, without which Xen
        // cannot log what a PV domain writes: there is no live migration with those.
        Suite::Bookworm => "/bookworm",
    }
}

/// Name of the cache's entry for a dom0 of `suite`.
pub(crate) fn dom0_name(suite: Suite) -> String {
    let packages = dom0_packages(suite);
    let mut parts: Vec<&str> = packages.iter().map(String::as_str).collect();
    parts.extend([LAYOUT, FINISH]);
    name(suite.name(), &parts)
}

/// Name of the cache's entry for QEMU.
pub(crate) fn qemu_name() -> String {
    let mut parts = QEMU.to_vec();
    parts.push(LAYOUT);
    name("qemu", &parts)
}

/// `what`, a dash and a hash of `parts`, each counted with its length.
fn name(what: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("{what}-{digest}")
}

#[cfg(test)]
mod tests {
    use super::{dom0_name, dom0_packages, name};
    use crate::suite::Suite;

    #[test]
    fn a_name_changes_with_each_part_and_its_borders() {
        let base = name("x", &["ab", "c"]);
        assert_eq!(base, name("x", &["ab", "c"]));
        assert_eq!(base.len(), "x-".len() + 12);
        for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["ab", "d"]] {
            assert_ne!(base, name("x", other));
        }
    }

    #[test]
    fn suites_have_their_own_xen_and_entry() {
        assert_ne!(dom0_name(Suite::Trixie), dom0_name(Suite::Bookworm));
        let packages = dom0_packages(Suite::Bookworm);
        assert!(packages.contains(&"xen-hypervisor-4.17-amd64/bookworm".to_owned()));
    }
}
