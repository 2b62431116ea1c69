//! PCI devices, as libxl names and gives them (`libxl_pci.c`).

use hv::DomId;

use super::detach::Place;
use super::{DOM0, Detach, Toolstack};

/// The PCI frontend of a domain: all its devices come by one. Domain 0 serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pci {
    /// The domain that uses it.
    pub guest: DomId,
}

impl Pci {
    /// The frontend's directory.
    #[must_use]
    pub fn frontend_path(&self) -> String {
        format!("/local/domain/{}/device/pci/0", self.guest)
    }

    /// The backend's directory.
    #[must_use]
    pub fn backend_path(&self) -> String {
        format!("/local/domain/0/backend/pci/{}/0", self.guest)
    }
}

impl Toolstack {
    /// Creates both directories, for `devices` devices, as `pci=[...]` does.
    pub fn create_pci(&self, pci: &Pci, devices: usize) {
        let (front, back) = (pci.frontend_path(), pci.backend_path());
        let (guest, count) = (pci.guest.to_string(), devices.to_string());
        let back_keys = [
            ("frontend", front.as_str()),
            ("frontend-id", &guest),
            ("online", "1"),
            ("state", "1"),
            ("domain", "guest"),
            ("num_devs", &count),
        ];
        let front_keys = [
            ("backend", back.as_str()),
            ("backend-id", "0"),
            ("state", "1"),
        ];
        let ends = ((front.as_str(), pci.guest), (back.as_str(), DOM0));
        self.create_device(ends.0, &front_keys, ends.1, &back_keys);
        for number in 0..devices {
            self.store.write(&format!("{back}/state-{number}"), "1");
        }
    }

    /// Takes the frontend away with all devices.
    pub fn detach_pci(&self, pci: &Pci) -> Detach {
        Detach::start_auto(&self.xen, &self.store, Place::of_pci(pci))
    }
}
