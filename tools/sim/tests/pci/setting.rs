//! A guest with a PCI frontend, and a driver that notes what it is told.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use exec::Notify;
use hv::DomId;
use pcifront::{Failure, Function, FunctionDriver, Id, Pcifront, Running};
use sim::{Dom, DomainConfig, Guest, Pci, PciConfig, PciDevice, Pciback, Toolstack, World};

pub(crate) const GUEST: DomId = DomId(1);
pub(crate) const PCI: Pci = Pci { guest: GUEST };
/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the driver was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) started: Vec<Function<Dom>>,
    pub(crate) ended: usize,
    /// Rung to have a stubborn one end after all.
    pub(crate) relent: Rc<Notify>,
}

/// Takes NVMe controllers, and does nothing with them.
struct Noter {
    told: Rc<RefCell<Told>>,
    stubborn: bool,
}

impl FunctionDriver<Dom> for Noter {
    fn name(&self) -> &'static str {
        "noter"
    }

    fn takes(&self, id: &Id) -> bool {
        id.class == 0x01_0802
    }

    fn start(&self, function: Function<Dom>) -> Running {
        self.told.borrow_mut().started.push(function.clone());
        let (told, stubborn) = (self.told.clone(), self.stubborn);
        Box::pin(async move {
            function.gone().await;
            if stubborn {
                let relent = told.borrow().relent.clone();
                relent.notified().await;
            }
            told.borrow_mut().ended += 1;
        })
    }
}

pub(crate) struct Setting {
    pub(crate) told: Rc<RefCell<Told>>,
    pub(crate) pcifront: Pcifront<Dom>,
    pub(crate) guest: Guest,
    pub(crate) toolstack: Toolstack,
    pub(crate) world: World,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(false)
    }

    /// `stubborn`: the driver leaves only when it is told to relent.
    pub(crate) fn with(stubborn: bool) -> Self {
        let world = World::new(7);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, GUEST, DomainConfig::default());
        let pv = &guest.pv;
        pv.exec
            .spawn("grants", pv.grants.clone().reclaim(pv.exec.clone()));
        let told = Rc::new(RefCell::new(Told::default()));
        let noter = Noter {
            told: told.clone(),
            stubborn,
        };
        let pcifront = Pcifront::start(pv, &guest.store, vec![Box::new(noter)]);
        let setting = Self {
            told,
            pcifront,
            guest,
            toolstack,
            world,
        };
        setting.run_for(Duration::from_secs(1));
        setting
    }

    /// A device of the guest's, with its registers.
    pub(crate) fn device(&self, config: PciConfig) -> PciDevice {
        for (_, address, bytes) in &config.bars {
            let pages = usize::try_from(bytes / 4096).expect("few pages");
            self.world.add_registers(*address, pages, GUEST);
        }
        PciDevice::new(&self.world, GUEST, config)
    }

    pub(crate) fn attach(&self, devices: Vec<PciDevice>) -> Pciback {
        Pciback::attach(&self.world, &self.toolstack, PCI, devices)
    }

    /// Attaches one device with these properties, and waits for its function.
    pub(crate) fn attach_one(&self, config: PciConfig) -> (Pciback, PciDevice, Function<Dom>) {
        let device = self.device(config);
        let pciback = self.attach(vec![device.clone()]);
        self.until_connected(&pciback);
        (pciback, device, self.function())
    }

    /// The function that the driver was given last.
    pub(crate) fn function(&self) -> Function<Dom> {
        let told = self.told.borrow();
        told.started.last().expect("the driver was started").clone()
    }

    /// What comes of something that a task of the guest's does.
    pub(crate) fn run<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> T {
        match self.guest.run(&self.world, future) {
            Ok(value) => value,
            Err(stop) => panic!("{stop}\n{}", self.guest.log().join("\n")),
        }
    }

    pub(crate) fn read(&self, offset: u16, size: u8) -> Result<u32, Failure> {
        let function = self.function();
        self.run(async move { function.read(offset, size).await })
    }

    pub(crate) fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.guest.log().join("\n"));
        }
    }

    pub(crate) fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        if let Err(stop) = self.world.run_until(|_| done(self), PATIENCE) {
            panic!("{what}: {stop}\n{}", self.guest.log().join("\n"));
        }
    }

    /// Waits until both ends say that they are connected.
    pub(crate) fn until_connected(&self, pciback: &Pciback) {
        self.until("it is connected", |setting| {
            pciback.state() == 4 && setting.front_state().as_deref() == Some("4")
        });
    }

    /// The state that the guest wrote.
    pub(crate) fn front_state(&self) -> Option<String> {
        let path = format!("{}/state", PCI.frontend_path());
        self.toolstack.store().read(&path)
    }

    /// What the backend's directory has.
    pub(crate) fn write_back(&self, key: &str, value: &str) {
        let path = format!("{}/{key}", PCI.backend_path());
        self.toolstack.store().write(&path, value);
    }
}
