//! A guest with vifs, its toolstack, its backends and a switch: what most tests of the network
//! frontend start from.

use std::time::Duration;

use hv::DomId;

use crate::frames::Address;
use crate::guest::Holdings;
use crate::{
    DomainConfig, Guest, Host, Netback, NetbackConfig, Station, Switch, SwitchConfig, Toolstack,
    Vif, VifConfig, World,
};

/// The guest's domain.
pub const GUEST: DomId = DomId(1);
/// The host that the test plays.
pub const THERE: Address = Address {
    mac: [2, 0, 0, 0, 0, 2],
    ip: [10, 0, 0, 2],
};

/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running machine with one guest.
pub struct Network {
    /// The guest's links.
    pub station: Station,
    /// The guest.
    pub guest: Guest,
    /// What the vifs are plugged into.
    pub switch: Switch,
    /// A host there.
    pub host: Host,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl Network {
    /// A machine with one guest and no vif, settled.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, DomainConfig::default(), 1)
    }

    /// The same with another guest, whose vifs have up to `queues` pairs of rings.
    #[must_use]
    pub fn with(seed: u64, config: DomainConfig, queues: u32) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::with_network(&world, &toolstack, GUEST, config, queues);
        let switch = Switch::start(&world, SwitchConfig::default());
        let network = Self {
            station: Station::start(&guest),
            host: switch.host(),
            guest,
            switch,
            toolstack,
            world,
        };
        network.run_for(Duration::from_secs(1));
        network
    }

    /// The vif of the guest with this number, served by domain 0.
    #[must_use]
    pub fn vif(devid: u32) -> Vif {
        Vif {
            guest: GUEST,
            backend: DomId(0),
            devid,
        }
    }

    /// Somebody at the vif with this number.
    #[must_use]
    pub fn address(devid: u32) -> Address {
        let [number, ..] = devid.to_le_bytes();
        Address {
            mac: Self::vif(devid).mac(),
            ip: [10, 0, 1, number],
        }
    }

    /// Attaches a vif, plugged into the switch; a backend starts to serve it.
    #[must_use]
    pub fn attach(&self, devid: u32, keys: &VifConfig, config: NetbackConfig) -> Netback {
        let vif = Self::vif(devid);
        let netback = Netback::attach(&self.world, &self.toolstack, vif, keys, config);
        let _port = self.switch.plug(&netback);
        netback
    }

    /// Attaches `xn0` with all defaults, and waits until it is up.
    #[must_use]
    pub fn attach_ready(&self, config: NetbackConfig) -> Netback {
        let netback = self.attach(0, &VifConfig::default(), config);
        self.until("xn0 is up", |network| network.station.is_up("xn0"));
        netback
    }

    /// Sends a frame from the guest.
    pub fn send(&self, name: &str, frame: impl Into<Vec<u8>>) {
        self.station.send(&self.world, &self.guest, name, frame);
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken, with the guest's log.
    pub fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.guest.log().join("\n"));
        }
    }

    /// Runs until `done` holds.
    ///
    /// # Panics
    /// If it does not come true, with what was awaited and the guest's log.
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        if let Err(stop) = self.world.run_until(|_| done(self), PATIENCE) {
            panic!("{what}: {stop}\n{}", self.guest.log().join("\n"));
        }
    }

    /// What the guest holds now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        self.guest.holdings(&self.toolstack)
    }

    /// The state that the guest wrote for a vif.
    #[must_use]
    pub fn front_state(&self, devid: u32) -> Option<String> {
        let path = format!("{}/state", Self::vif(devid).frontend_path());
        self.toolstack.store().read(&path)
    }

    /// The error that the guest wrote for a vif.
    #[must_use]
    pub fn front_error(&self, devid: u32) -> Option<String> {
        let path = format!("/local/domain/{GUEST}/error/device/vif/{devid}/error");
        self.toolstack.store().read(&path)
    }

    /// A machine with a good vif, `xn1`, beside whatever comes.
    #[must_use]
    pub fn beside_a_good_vif(seed: u64) -> Self {
        let network = Self::new(seed);
        let _netback = network.attach(1, &VifConfig::default(), NetbackConfig::default());
        network.until("xn1 is up", |n| n.station.is_up("xn1"));
        network
    }

    /// Detaches a vif.
    ///
    /// # Panics
    /// If it does not come to an end.
    pub fn detach(&self, devid: u32) {
        let detach = self.toolstack.detach_vif(&Self::vif(devid));
        self.until("it is detached", |_| detach.outcome().is_some());
        assert!(matches!(detach.outcome(), Some(Ok(_))));
        // A backend in domain 0 sees that its nodes are gone, before there are others.
        self.run_for(Duration::from_millis(1));
    }

    /// Whether a line of the guest's log contains this.
    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        self.guest.log_lines(text) != 0
    }

    /// `xn0` has failed and `xn1` has not: said why, nothing is left of it, and the toolstack can
    /// make it anew.
    ///
    /// # Panics
    /// If it is not so.
    pub fn has_failed_alone(&self, why: &str) {
        self.until("the error is in xenstore", |n| n.front_error(0).is_some());
        assert!(self.logged(why), "{why}\n{}", self.guest.log().join("\n"));
        self.until("xn0 is down", |n| !n.station.is_up("xn0"));
        self.expect_traffic(1);
        self.until("the device is closed", |n| {
            matches!(n.front_state(0).as_deref(), Some("6") | None)
        });
        self.run_for(Duration::from_secs(120));
        assert_eq!(self.guest.pv.grants.usage().parked, 0);
        self.detach(0);
        let again = self.attach_ready(NetbackConfig::default());
        self.expect_traffic(0);
        self.expect_traffic(1);
        assert_eq!(again.complaints(), Vec::<String>::new());
    }

    /// Frames go both ways over a vif, whole.
    ///
    /// # Panics
    /// If one does not arrive.
    pub fn expect_traffic(&self, devid: u32) {
        let (name, here) = (format!("xn{devid}"), Self::address(devid));
        let (there, back) = ((THERE, 4), (here, 3));
        let length = 20 + usize::try_from(self.world.rng().below(1400)).unwrap_or(0);
        let data: Vec<u8> = (0..length)
            .map(|_| self.world.rng().next().to_le_bytes()[0])
            .collect();
        let out = crate::frames::udp(back, there, &data);
        let into = crate::frames::udp(there, back, &data);
        let _earlier = (self.host.take_all(), self.station.take_all(&name));
        self.send(&name, out.clone());
        let found = std::cell::Cell::new(false);
        self.until("what the guest sends arrives", |network| {
            let came = network.host.take_all();
            found.set(found.get() || came.iter().any(|packet| packet.bytes == out));
            found.get()
        });
        self.host.send(into.clone());
        found.set(false);
        self.until("the guest receives what is sent", |network| {
            let came = network.station.take_all(&name);
            found.set(found.get() || came.contains(&into));
            found.get()
        });
    }
}
