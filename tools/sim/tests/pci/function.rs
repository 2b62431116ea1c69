//! What a driver has of its function: registers and interrupts.

use std::time::Duration;

use hv::SharedMem as _;
use pcifront::{Bar, Failure, Way};
use sim::PciConfig;

use crate::setting::Setting;

#[test]
fn registers_are_found_mapped_and_turned_on() {
    let setting = Setting::new();
    let (_pciback, device, function) = setting.attach_one(PciConfig::default());
    assert_eq!(function.id().vendor, 0x1b36);
    let registers = {
        let function = function.clone();
        setting.run(async move {
            function.enable().await?;
            function.let_use_memory().await?;
            let bar = function.bar(0).await?;
            let expected = Bar {
                address: 0xc0_0000_0000,
                bytes: 0x4000,
            };
            assert_eq!(bar, expected);
            assert_eq!(function.bar(0).await, Ok(bar), "it may be asked again");
            assert_eq!(function.bar(2).await, Err(Failure::Absent));
            function.map(&bar)
        })
    };
    let registers = registers.expect("they are mapped");
    assert!(device.is_master());
    assert_eq!(registers.len(), 0x4000);
    registers.store_u32(0x14, 0x0046_0001);
    assert_eq!(registers.load_u32(0x14), 0x0046_0001);
}

#[test]
fn interrupts_come_by_msix_each_on_its_own_vector() {
    let setting = Setting::new();
    let (_pciback, device, function) = setting.attach_one(PciConfig::default());
    let interrupts = setting.run(async move {
        function.enable().await?;
        function.interrupts(3).await
    });
    let interrupts = interrupts.expect("there are some");
    assert_eq!(device.vectors(), (3, true));
    assert!(interrupts.iter().all(|each| each.way() == Way::Msix));
    let [first, _, third] = <[_; 3]>::try_from(interrupts).ok().expect("three");
    device.raise(2);
    setting.run(async move { third.wait().await });
    let waited = setting.guest.spawn(&setting.world, async move {
        first.wait().await;
        first.done();
    });
    setting.run_for(Duration::from_secs(1));
    assert!(waited.borrow().is_none(), "it was the third one's");
    device.raise(0);
    setting.until("it came", |_| waited.borrow().is_some());
}

#[test]
fn no_more_vectors_are_asked_for_than_the_table_has() {
    let setting = Setting::new();
    let config = PciConfig {
        msix: 2,
        ..PciConfig::default()
    };
    let (_pciback, device, function) = setting.attach_one(config);
    let interrupts = setting.run(async move {
        function.enable().await?;
        function.interrupts(100).await
    });
    assert_eq!(interrupts.expect("there are some").len(), 2);
    assert_eq!(device.vectors(), (2, true));
}

#[test]
fn where_msix_is_refused_msi_is_taken() {
    let setting = Setting::new();
    let config = PciConfig {
        refuses_msix: true,
        msi: true,
        ..PciConfig::default()
    };
    let (_pciback, device, function) = setting.attach_one(config);
    let interrupts = setting.run(async move {
        function.enable().await?;
        function.interrupts(2).await
    });
    let interrupts = interrupts.expect("there is one");
    assert_eq!(interrupts.len(), 1);
    assert_eq!(interrupts[0].way(), Way::Msi);
    assert_eq!(device.vectors(), (1, false));
}

#[test]
fn a_line_is_the_last_resort_and_comes_again_only_when_it_was_served() {
    let setting = Setting::new();
    let config = PciConfig {
        refuses_msix: true,
        ..PciConfig::default()
    };
    let (pciback, device, function) = setting.attach_one(config);
    let asking = function.clone();
    let interrupts = setting.run(async move {
        asking.enable().await?;
        asking.interrupts(2).await
    });
    let mut interrupts = interrupts.expect("there is one");
    let line = interrupts.pop().expect("there is one");
    assert_eq!((line.way(), line.pirq()), (Way::Intx, 16));
    assert_eq!(setting.guest.log_lines("no MSI-X"), 1);
    let lowering = device.clone();
    device.raise(0);
    let line = setting.run(async move {
        for _ in 0..3 {
            line.wait().await;
            line.done();
        }
        line.wait().await;
        lowering.lower();
        line.done();
        line
    });
    let waited = setting
        .guest
        .spawn(&setting.world, async move { line.wait().await });
    setting.run_for(Duration::from_secs(1));
    assert!(waited.borrow().is_none(), "nobody holds it");
    // MSI-X is tried once: the next time nothing is asked of the backend but for the line.
    drop(waited);
    let asked = pciback.operations();
    let again = setting.run(async move { function.interrupts(1).await });
    assert_eq!(
        again.err(),
        Some(Failure::Xen(hv::Errno(17))),
        "it is bound"
    );
    assert!(pciback.operations() < asked + 8);
}

#[test]
fn one_function_asks_while_another_does_and_each_has_its_own_answer() {
    let setting = Setting::new();
    let second = PciConfig {
        id: (0x8086, 0x5845),
        bars: vec![(0, 0xc0_0001_0000, 0x2000)],
        line: None,
        ..PciConfig::default()
    };
    let devices = vec![setting.device(PciConfig::default()), setting.device(second)];
    let pciback = setting.attach(devices);
    setting.until_connected(&pciback);
    let functions = setting.told.borrow().started.clone();
    let ids = [0x0010_1b36, 0x5845_8086];
    let reads: Vec<_> = (functions.iter().zip(ids))
        .map(|(function, id)| {
            let function = function.clone();
            setting.guest.spawn(&setting.world, async move {
                for _ in 0..20 {
                    assert_eq!(function.read(0, 4).await, Ok(id));
                }
            })
        })
        .collect();
    assert_eq!(reads.len(), 2);
    setting.until("all are read", |_| {
        reads.iter().all(|read| read.borrow().is_some())
    });
}
