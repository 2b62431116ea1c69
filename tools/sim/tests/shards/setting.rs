//! A domain whose two disks are on two vCPUs, and who is served by it.

use std::cell::RefCell;
use std::rc::Rc;

use geom::{Access, Device};
use hv::{DomId, Hypervisor};
use pv::Pv;
use sim::frontend::Abi;
use sim::storage::XVDA;
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Frontend, Guest, Machine, Vbd};

pub(crate) const MIDDLE: DomId = Machine::GUEST;
pub(crate) const CLIENT: DomId = DomId(30);
pub(crate) const XVDB: u32 = XVDA + 16;

/// A domain with two vCPUs and two disks, and another one that it may serve them to.
pub(crate) struct Setting {
    pub(crate) client: Guest,
    pub(crate) disks: [Disk; 2],
    pub(crate) backends: [Blkback; 2],
    pub(crate) machine: Machine,
}

impl Setting {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, [Disk::new(), Disk::new()])
    }

    pub(crate) fn with(seed: u64, disks: [Disk; 2]) -> Self {
        let config = DomainConfig {
            vcpus: 2,
            ..DomainConfig::default()
        };
        let mut backends = None;
        let machine = Machine::boot_with(seed, "", config, |world, toolstack| {
            let attach = |devid, disk| {
                let vbd = sim::Storage::vbd(devid);
                Blkback::attach(world, toolstack, vbd, disk, BlkbackConfig::default())
            };
            backends = Some([attach(XVDA, &disks[0]), attach(XVDB, &disks[1])]);
        });
        machine.until_shown("ready");
        let (world, toolstack) = (&machine.world, &machine.toolstack);
        let client = Guest::with_disks(world, toolstack, CLIENT, DomainConfig::default());
        Self {
            client,
            disks,
            backends: backends.expect("they were attached"),
            machine,
        }
    }

    /// The client's disk of that number.
    pub(crate) fn vbd(&self, devid: u32) -> Vbd {
        Vbd {
            guest: CLIENT,
            backend: MIDDLE,
            devid,
        }
    }

    /// Exports `provider` to the client as the disk of that number.
    pub(crate) fn export(&self, devid: u32, provider: &str) -> Vbd {
        let vbd = self.vbd(devid);
        self.machine.toolstack.create_vbd_of(&vbd, provider, "w");
        self.machine.world.wake_domain(CLIENT);
        vbd
    }

    /// A frontend driven by hand, connected to an export of `provider`.
    pub(crate) fn peer(&self, id: u16, provider: &str) -> Frontend {
        let toolstack = &self.machine.toolstack;
        let dom = toolstack.create_domain(DomId(id), "peer", DomainConfig::default());
        let vbd = Vbd {
            guest: DomId(id),
            backend: MIDDLE,
            devid: XVDA,
        };
        toolstack.create_vbd_of(&vbd, provider, "w");
        let peer = Frontend::new(toolstack, &Pv::new(dom), vbd, Abi::X86_64);
        let is = |state| {
            let what = format!("the backend is in state {state}");
            let there = |_: &Machine| peer.backend_state() == Some(state);
            self.machine.until(&what, there);
        };
        is(2);
        peer.make_rings(1, 0);
        peer.publish(&[]);
        is(4);
        peer.set_state(4);
        peer
    }

    /// Both disks, each by an export of its own.
    pub(crate) fn export_both(&self) -> [Rc<Device>; 2] {
        self.export(XVDA, "xbd0");
        self.export(XVDB, "xbd1");
        ["xbd0", "xbd1"].map(|name| {
            let there = |_: &Machine| self.client.geom.provider(name).is_some();
            self.machine.until("the client has its disks", there);
            let opened = self.client.geom.open(name, Access::READ_WRITE);
            Rc::new(opened.expect("a disk"))
        })
    }

    /// Runs a task of the client's to its end.
    pub(crate) fn ask<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let asked = self.client.run(&self.machine.world, task);
        asked.expect("it comes to an end")
    }

    /// Runs a task of the domain's to its end.
    pub(crate) fn within<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let done = Rc::new(RefCell::new(None));
        let put = done.clone();
        self.machine.domain.pv.exec.spawn("test", async move {
            let value = task.await;
            *put.borrow_mut() = Some(value);
        });
        self.machine.world.wake_domain(MIDDLE);
        let is_done = |_: &Machine| done.borrow().is_some();
        self.machine.until("it is done", is_done);
        done.take().expect("it is done")
    }

    pub(crate) fn open(&self, name: &str, access: Access) -> Device {
        let opened = self.machine.domain.geom.open(name, access);
        opened.expect("a provider")
    }

    pub(crate) fn set_vcpu(&self, availability: &str) {
        self.machine.toolstack.set_vcpu(MIDDLE, 1, availability);
        let up = availability == "online";
        self.machine.until("it is so", |machine| {
            machine.domain.pv.hv.vcpu_is_up(1) == up
        });
    }
}
