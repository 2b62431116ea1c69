//! The toolstack: makes domains and devices in xenstore as libxl does, and takes devices away.
//!
//! - `vif`: network interfaces
//! - `pci`: PCI devices
//! - `detach`: `xl block-detach` and `xl network-detach`, plain and forced, with libxl's deadlines

mod detach;
mod pci;
mod vif;

use hv::DomId;

use crate::xenstored::Permission;
use crate::{Dom, DomainConfig, World, Xen, Xenstored};

pub use detach::{Detach, DetachError};
pub use pci::Pci;
pub use vif::{Vif, VifConfig, mac_text};

use detach::Place;

const DOM0: DomId = DomId(0);

/// What `xl` works with; clones are the same one.
#[derive(Clone)]
pub struct Toolstack {
    xen: Xen,
    store: Xenstored,
}

/// A virtual block device, as the toolstack names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vbd {
    /// The domain that uses it.
    pub guest: DomId,
    /// The domain that serves it.
    pub backend: DomId,
    /// The device number: 51712 is `xvda`.
    pub devid: u32,
}

impl Vbd {
    /// The frontend's directory.
    #[must_use]
    pub fn frontend_path(&self) -> String {
        format!("/local/domain/{}/device/vbd/{}", self.guest, self.devid)
    }

    /// The backend's directory.
    #[must_use]
    pub fn backend_path(&self) -> String {
        let Self {
            guest,
            backend,
            devid,
        } = self;
        format!("/local/domain/{backend}/backend/vbd/{guest}/{devid}")
    }
}

fn only(dom: DomId, letter: char) -> Permission {
    Permission { dom, letter }
}

impl Toolstack {
    /// Starts xenstored and the toolstack.
    #[must_use]
    pub fn start(world: &World) -> Self {
        Self {
            xen: world.xen(),
            store: Xenstored::start(world),
        }
    }

    /// Xenstore, as domain 0 sees it.
    #[must_use]
    pub fn store(&self) -> &Xenstored {
        &self.store
    }

    /// Creates a domain: Xen's side, its home in xenstore, its connection to xenstored.
    pub fn create_domain(&self, id: DomId, name: &str, config: DomainConfig) -> Dom {
        let dom = self.xen.create_domain(id, config);
        self.make_home(id, name, config);
        dom
    }

    /// Makes a domain anew that is suspended, as `xl restore` does: Xen's side, its home, its
    /// connection. Its devices are to be made again.
    pub fn renew_domain(&self, id: DomId, name: &str, config: DomainConfig) {
        self.store.release(id);
        self.store.remove(&format!("/local/domain/{id}"));
        self.xen.renew_domain(id);
        self.make_home(id, name, config);
    }

    fn make_home(&self, id: DomId, name: &str, config: DomainConfig) {
        let home = format!("/local/domain/{id}");
        let store = &self.store;
        store.write(&home, "");
        store.set_permissions(&home, &[only(DOM0, 'n'), only(id, 'r')]);
        let memory = (config.pages * 4).to_string();
        let most = (config.pages.max(config.most_pages) * 4).to_string();
        let number = id.to_string();
        for (key, value) in [
            ("name", name),
            ("domid", &number),
            ("memory/target", &memory),
            ("memory/static-max", &most),
            ("device", ""),
            ("control", ""),
            ("control/platform-feature-xs_reset_watches", "1"),
        ] {
            store.write(&format!("{home}/{key}"), value);
        }
        for vcpu in 0..config.vcpus {
            let node = format!("{home}/cpu/{vcpu}/availability");
            store.write(&node, "online");
        }
        let own = [
            "control/shutdown",
            "control/sysrq",
            "control/feature-poweroff",
            "control/feature-reboot",
            "control/feature-suspend",
            "device/suspend/event-channel",
            "data",
            "drivers",
            "feature",
            "attr",
            "error",
        ];
        for key in own {
            let path = format!("{home}/{key}");
            store.write(&path, "");
            store.set_permissions(&path, &[only(id, 'n')]);
        }
        store.introduce(id);
    }

    /// Ends a domain and forgets it, as `xl destroy` does; its devices' directories go with it.
    pub fn destroy_domain(&self, id: DomId) {
        self.xen.destroy_domain(id);
        self.store.release(id);
        self.store.remove(&format!("/local/domain/{id}"));
    }

    /// Creates both directories of a vbd, as `xl block-attach` does; a backend and a frontend find
    /// them there.
    pub fn create_vbd(&self, vbd: &Vbd, read_only: bool) {
        self.create_vbd_of(vbd, "/dev/vg/disk", if read_only { "r" } else { "w" });
    }

    /// The same with a `target=` and a mode (`r`, `w` or `w!`), which libxl passes to a driver
    /// domain as they are.
    pub fn create_vbd_of(&self, vbd: &Vbd, target: &str, mode: &str) {
        let (front, back) = (vbd.frontend_path(), vbd.backend_path());
        let (guest, backend) = (vbd.guest.to_string(), vbd.backend.to_string());
        let number = vbd.devid.to_string();
        let back_keys = [
            ("frontend", front.as_str()),
            ("frontend-id", &guest),
            ("params", target),
            ("script", "/etc/xen/scripts/block"),
            ("online", "1"),
            ("removable", "0"),
            ("bootable", "1"),
            ("dev", "xvda"),
            ("type", "phy"),
            ("mode", mode),
            ("device-type", "disk"),
            ("discard-enable", "1"),
            ("specification", "xen"),
            ("state", "1"),
        ];
        let front_keys = [
            ("backend", back.as_str()),
            ("backend-id", &backend),
            ("virtual-device", &number),
            ("device-type", "disk"),
            ("trusted", "1"),
            ("protocol", "x86_64-abi"),
            ("state", "1"),
        ];
        self.create_device(
            (&front, vbd.guest),
            &front_keys,
            (&back, vbd.backend),
            &back_keys,
        );
    }

    /// Makes both directories of a device anew.
    fn create_device(
        &self,
        (front, guest): (&str, DomId),
        front_keys: &[(&str, &str)],
        (back, backend): (&str, DomId),
        back_keys: &[(&str, &str)],
    ) {
        let store = &self.store;
        // The directories come first, with their permissions: what is in them inherits those.
        store.remove(front);
        store.remove(back);
        for (path, owner, reader) in [(front, guest, backend), (back, backend, guest)] {
            store.write(path, "");
            store.set_permissions(path, &[only(owner, 'n'), only(reader, 'r')]);
        }
        let paths: Vec<_> = (back_keys.iter().map(|(key, value)| (back, key, value)))
            .chain(front_keys.iter().map(|(key, value)| (front, key, value)))
            .map(|(path, key, value)| (format!("{path}/{key}"), *value))
            .collect();
        let edits: Vec<_> = paths
            .iter()
            .map(|(path, value)| (path.as_str(), Some(value.as_bytes())))
            .collect();
        store.together(&edits);
    }

    /// Starts `xl block-detach`, or with `force` `xl block-detach --force`.
    pub fn detach(&self, vbd: &Vbd, force: bool) -> Detach {
        Detach::start(&self.xen, &self.store, Place::of_vbd(vbd), force)
    }

    /// Asks a domain to have so many KiB, and lets it have them, as `xl mem-set` does.
    pub fn set_memory(&self, id: DomId, kib: usize) {
        self.xen.set_limit(id, kib / 4);
        let target = format!("/local/domain/{id}/memory/target");
        self.store.write(&target, kib.to_string());
    }

    /// Says whether a vCPU of a domain is to be up, `online` or `offline`, as `xl vcpu-set` does.
    pub fn set_vcpu(&self, id: DomId, vcpu: u32, availability: &str) {
        let node = format!("/local/domain/{id}/cpu/{vcpu}/availability");
        self.store.write(&node, availability);
    }

    /// Asks a domain to end, as `xl shutdown` does: `poweroff`, `reboot`, `halt`, `crash`.
    pub fn shutdown(&self, id: DomId, how: &str) {
        self.store
            .write(&format!("/local/domain/{id}/control/shutdown"), how);
    }
}
