//! An NVMe controller that pciback gives to a guest: the shipped drivers, one on the other.

use std::time::Duration;

use nvme::Nvme;
use pcifront::Pcifront;
use sim::nvme::{NvmeConfig, NvmeDevice};
use sim::storage::{GUEST, Storage};
use sim::{Disk, Pci, PciConfig, PciDevice, Pciback};

const BLOCKS: u64 = 131_072;

#[test]
fn a_controller_behind_pciback_is_a_disk_by_its_line() {
    let storage = Storage::new(1);
    let pv = &storage.guest.pv;
    let driver = Nvme::new(pv, &storage.guest.geom);
    let drivers: Vec<Box<dyn pcifront::FunctionDriver<_>>> = vec![Box::new(driver.clone())];
    let pcifront = Pcifront::start(pv, &storage.guest.store, drivers);
    let config = NvmeConfig::new(&Disk::with(&[7; 65_536]), BLOCKS);
    // As in the lab, where MSI-X cannot be turned on.
    let function = PciConfig {
        refuses_msix: true,
        line: Some(config.pirq),
        ..PciConfig::default()
    };
    let function = PciDevice::new(&storage.world, GUEST, function);
    let device = NvmeDevice::insert(&storage.world, GUEST, config);
    device.set_master(true);
    let pci = Pci { guest: GUEST };
    let toolstack = &storage.toolstack;
    let _pciback = Pciback::attach(&storage.world, toolstack, pci, vec![function]);
    storage.world.wake_domain(GUEST);
    storage.until("nvd0 is there", |storage| storage.is_ready("nvd0"));
    storage.expect("nvd0", 0, &[7; 65_536]);
    assert_eq!(storage.write("nvd0", 4096, &[9; 8192]), Ok(()));
    storage.expect("nvd0", 4096, &[9; 8192]);
    assert!(storage.logged("firmware 1.0, interrupts"));
    assert!(!storage.logged("interrupts get lost"));
    let seen = pcifront.functions();
    assert_eq!(seen.first().and_then(|one| one.driver), Some("nvme"));
    device.pull();
    storage.run_for(Duration::from_secs(12));
    assert_eq!(storage.created_and_gone(), (1, 1));
    assert_eq!(storage.count_logged("nvd0 gone"), 1);
}
