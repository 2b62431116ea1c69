//! Network interfaces, as libxl names and makes them (`libxl_nic.c`).

use hv::DomId;

use super::detach::Place;
use super::{Detach, Toolstack};

/// A virtual network interface, as the toolstack names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vif {
    /// The domain that uses it.
    pub guest: DomId,
    /// The domain that serves it.
    pub backend: DomId,
    /// The number: 0 is the first.
    pub devid: u32,
}

impl Vif {
    /// The frontend's directory.
    #[must_use]
    pub fn frontend_path(&self) -> String {
        format!("/local/domain/{}/device/vif/{}", self.guest, self.devid)
    }

    /// The backend's directory.
    #[must_use]
    pub fn backend_path(&self) -> String {
        let Self {
            guest,
            backend,
            devid,
        } = self;
        format!("/local/domain/{backend}/backend/vif/{guest}/{devid}")
    }

    /// The address that it has if none is given: Xen's own prefix, the domain and the number.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        let [high, low] = self.guest.0.to_be_bytes();
        [0x00, 0x16, 0x3e, high, low, self.devid.to_le_bytes()[0]]
    }
}

/// What `vif = [...]` says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VifConfig {
    /// Its address: [`Vif::mac`] if `None`.
    pub mac: Option<[u8; 6]>,
    /// The largest IP packet.
    pub mtu: u16,
    /// `ip=`: what the frontend is told it might use.
    pub ip: Option<String>,
    /// Whether the frontend may trust the backend (`trusted=0`: it may not).
    pub trusted: bool,
}

impl Default for VifConfig {
    fn default() -> Self {
        Self {
            mac: None,
            mtu: 1500,
            ip: None,
            trusted: true,
        }
    }
}

/// An address as it stands in xenstore.
#[must_use]
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

impl Toolstack {
    /// Creates both directories of a vif, as `xl network-attach` does; a backend and a frontend
    /// find them there.
    pub fn create_vif(&self, vif: &Vif, config: &VifConfig) {
        let (front, back) = (vif.frontend_path(), vif.backend_path());
        let (guest, backend) = (vif.guest.to_string(), vif.backend.to_string());
        let number = vif.devid.to_string();
        let mac = mac_text(config.mac.unwrap_or(vif.mac()));
        let mtu = config.mtu.to_string();
        let name = format!("vif{guest}.{number}");
        let mut back_keys = vec![
            ("frontend", front.as_str()),
            ("frontend-id", &guest),
            ("online", "1"),
            ("state", "1"),
            ("script", "/etc/xen/scripts/vif-bridge"),
            ("vifname", &name),
            ("mac", &mac),
            ("mtu", &mtu),
            ("bridge", "xenbr0"),
            ("handle", &number),
            ("type", "vif"),
            ("hotplug-status", ""),
        ];
        if let Some(ip) = &config.ip {
            back_keys.push(("ip", ip));
        }
        let front_keys = [
            ("backend", back.as_str()),
            ("backend-id", &backend),
            ("state", "1"),
            ("handle", &number),
            ("mac", &mac),
            ("mtu", &mtu),
            ("trusted", if config.trusted { "1" } else { "0" }),
        ];
        let ends = ((front.as_str(), vif.guest), (back.as_str(), vif.backend));
        self.create_device(ends.0, &front_keys, ends.1, &back_keys);
    }

    /// Starts `xl network-detach`: as `xl block-detach`, but what is not closed in time is then
    /// taken away by force (`LIBXL__FORCE_AUTO`).
    pub fn detach_vif(&self, vif: &Vif) -> Detach {
        Detach::start_auto(&self.xen, &self.store, Place::of_vif(vif))
    }

    /// Takes a vif away by force, as happens when its domain is destroyed.
    pub fn force_detach_vif(&self, vif: &Vif) -> Detach {
        Detach::start(&self.xen, &self.store, Place::of_vif(vif), true)
    }
}
