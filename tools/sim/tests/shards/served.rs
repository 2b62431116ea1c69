//! What the rest of the domain and its clients see.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use balloon::plan;
use geom::{Access, Device, Errno};
use hv::{Errno as XenErrno, Hypervisor, Resumed};
use sim::scene::pattern;
use sim::storage::{XVDA, mbr};
use sim::{Blkback, BlkbackConfig, Call, Disk, DomainConfig, Fault, Machine, When};

use super::setting::{CLIENT, MIDDLE, Setting, XVDB};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Writes and reads again, for as long as it is let; how often it did.
async fn work(guest: Rc<Device>, rounds: Rc<Cell<u64>>, stop: Rc<Cell<bool>>) -> Result<(), Errno> {
    while !stop.get() {
        let round = rounds.get();
        let data = pattern(round as usize, 8192);
        let offset = round % 64 * 8192;
        guest.write(offset, data.clone()).await?;
        assert_eq!(guest.read(offset, 8192).await?, data);
        if round.is_multiple_of(16) {
            guest.flush().await?;
        }
        rounds.set(round + 1);
    }
    Ok(())
}

#[test]
fn disks_of_every_vcpu_are_in_the_graph_with_what_is_on_them() {
    let disks = [Disk::new(), Disk::with(&mbr(&[(8, 1024)]))];
    let setting = Setting::with(1, disks);
    assert!(setting.machine.domain.geom.provider("xbd0").is_some());
    let device = setting.open("xbd1s1", Access::READ_WRITE);
    let data = pattern(3, 300 * 1024);
    let written = data.clone();
    let read = setting.within(async move {
        device.write(4096, written).await?;
        device.flush().await?;
        device.read(4096, 300 * 1024).await
    });
    assert_eq!(read, Ok(data.clone()));
    assert_eq!(setting.disks[1].bytes(4096 + 4096, 300 * 1024), data);
}

#[test]
fn each_export_is_served_where_its_disk_is_and_all_are_listed() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        let devices = setting.export_both();
        let stop = Rc::new(Cell::new(false));
        let rounds = [(); 2].map(|()| Rc::new(Cell::new(0)));
        let works: Vec<_> = devices
            .iter()
            .zip(&rounds)
            .map(|(device, rounds)| {
                let work = work(device.clone(), rounds.clone(), stop.clone());
                setting.client.spawn(&setting.machine.world, work)
            })
            .collect();
        setting.machine.run_for(SECOND);
        stop.set(true);
        setting.machine.until("they end", |_| {
            works.iter().all(|work| *work.borrow() == Some(Ok(())))
        });
        assert!(rounds.iter().all(|rounds| rounds.get() > 20), "{rounds:?}");
        setting.machine.run_for(SECOND);
        let exports = setting.machine.domain.blkback.exports();
        let names: Vec<_> = exports.iter().map(|export| &*export.provider).collect();
        assert_eq!(names, ["xbd0", "xbd1"]);
        assert!(exports.iter().all(|export| export.statistics.writes > 20));
        let own = setting.machine.domain.blkback.own_exports();
        let names: Vec<_> = own.iter().map(|export| &*export.provider).collect();
        assert_eq!(names, ["xbd0"]);
    }
}

#[test]
fn a_part_of_another_vcpus_disk_is_exported_and_nothing_beside_it() {
    let setting = Setting::with(2, [Disk::new(), Disk::with(&mbr(&[(8, 16)]))]);
    setting.export(XVDA, "xbd1s1");
    let there = |_: &Machine| setting.client.geom.provider("xbd0").is_some();
    setting.machine.until("the client has its disk", there);
    let device = setting
        .client
        .geom
        .open("xbd0", Access::READ_WRITE)
        .unwrap();
    assert_eq!(device.media_size(), 16 * 512);
    let data = pattern(5, 16 * 512);
    let written = data.clone();
    let done = setting.ask(async move { device.write(0, written).await });
    assert_eq!(done, Ok(()));
    assert_eq!(setting.disks[1].bytes(8 * 512, 16 * 512), data);
    assert_eq!(setting.disks[1].bytes(0, 512), mbr(&[(8, 16)]));
    assert_eq!(setting.disks[1].bytes(24 * 512, 512), vec![0; 512]);
}

#[test]
fn who_has_a_provider_keeps_others_out_wherever_they_are() {
    let setting = Setting::new(3);
    let held = setting.open("xbd1", Access::EXCLUSIVE);
    let vbd = setting.export(XVDB, "xbd1");
    setting.machine.run_for(12 * SECOND);
    assert!(setting.client.geom.provider("xbd1").is_none());
    setting.machine.toolstack.detach(&vbd, true);
    setting.machine.run_for(SECOND);
    drop(held);
    setting.machine.world.wake_domain(MIDDLE);
    setting.machine.run_for(SECOND);
    setting.export_both();
    let refused = setting.machine.domain.geom.open("xbd1", Access::READ_WRITE);
    let refused = refused.map(drop).expect_err("it is exported");
    assert_eq!(refused.errno, Errno::NotPermitted);
    assert_eq!(refused.holder.as_deref(), Some("blkback 30/51728"));
}

#[test]
fn vcpus_come_and_go_beside_the_exports_work() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        let devices = setting.export_both();
        let stop = Rc::new(Cell::new(false));
        let rounds = Rc::new(Cell::new(0));
        let work = work(devices[1].clone(), rounds.clone(), stop.clone());
        let work = setting.client.spawn(&setting.machine.world, work);
        for _ in 0..10 {
            setting.set_vcpu("offline");
            let before = rounds.get();
            setting.machine.run_for(20 * MILLISECOND);
            assert!(rounds.get() > before, "the first vCPU serves it");
            setting.set_vcpu("online");
            let before = rounds.get();
            setting.machine.run_for(20 * MILLISECOND);
            assert!(rounds.get() > before, "its own does");
        }
        stop.set(true);
        setting
            .machine
            .until("it ends", |_| *work.borrow() == Some(Ok(())));
    }
}

#[test]
fn a_disk_that_goes_is_gone_from_the_graph_and_its_export_closes() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        setting.export_both();
        let vbd = sim::Storage::vbd(XVDB);
        let gone = setting.machine.toolstack.detach(&vbd, true);
        setting.machine.until("it is gone", |machine| {
            machine.domain.geom.provider("xbd1").is_none()
                && setting.client.geom.provider("xbd1").is_none()
        });
        setting.machine.run_for(20 * SECOND);
        assert!(
            matches!(gone.outcome(), Some(Ok(_))),
            "the toolstack has its end"
        );
        assert!(setting.client.geom.provider("xbd0").is_some());
        let counters = setting.machine.domain.geom.counters();
        assert_eq!((counters.disks_created, counters.disks_gone), (2, 1));
        let _again = setting
            .machine
            .attach(XVDB, &setting.disks[1], BlkbackConfig::default());
        setting.machine.until("it is back", |machine| {
            machine.domain.geom.provider("xbd1").is_some()
        });
    }
}

#[test]
fn a_domain_with_clients_on_another_vcpu_is_not_suspended_and_goes_on() {
    let setting = Setting::new(4);
    let devices = setting.export_both();
    setting.machine.toolstack.shutdown(MIDDLE, "suspend");
    setting.machine.until_shown("refused: domain 30 uses xbd");
    let device = devices[1].clone();
    assert_eq!(setting.ask(async move { device.flush().await }), Ok(()));
}

#[test]
fn disks_of_every_vcpu_outlive_the_domains_life() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        let devices = ["xbd0", "xbd1"].map(|name| setting.open(name, Access::READ_WRITE));
        let (toolstack, console) = (
            setting.machine.toolstack.clone(),
            setting.machine.console.clone(),
        );
        let (backends, disks) = (setting.backends.clone(), setting.disks.clone());
        setting.machine.world.at_suspension(MIDDLE, move |xen| {
            for backend in &backends {
                if backend.pending() > 0 {
                    xen.violation("requests are out while the domain is saved".into());
                }
                backend.crash();
            }
            toolstack.renew_domain(MIDDLE, "xenolith", DomainConfig::default());
            console.bind(MIDDLE);
            for (devid, disk) in [(XVDA, &disks[0]), (XVDB, &disks[1])] {
                let vbd = sim::Storage::vbd(devid);
                let _serves = Blkback::attach(xen, &toolstack, vbd, disk, BlkbackConfig::default());
            }
            Resumed::Anew
        });
        setting.machine.toolstack.shutdown(MIDDLE, "suspend");
        setting.machine.until_shown("the domain lives anew");
        let done = setting.within(async move {
            for (device, seed) in devices.iter().zip(0..) {
                device.write(0, pattern(seed, 4096)).await?;
                device.flush().await?;
            }
            Ok::<_, Errno>(())
        });
        assert_eq!(done, Ok(()));
        for (disk, seed) in setting.disks.iter().zip(0..) {
            assert_eq!(disk.bytes(0, 4096), pattern(seed, 4096));
        }
        setting.machine.until("its vCPU runs", |machine| {
            machine.domain.pv.hv.vcpu_is_up(1)
        });
    }
}

#[test]
fn a_vcpu_that_cannot_run_costs_nothing_but_itself() {
    let config = DomainConfig {
        vcpus: 2,
        ..DomainConfig::default()
    };
    let disk = Disk::new();
    let machine = Machine::boot_with(6, "", config, |world, toolstack| {
        let fault = Fault::new(MIDDLE, Call::VcpuPrepare, When::From(1), XenErrno::ENOMEM);
        world.plan_fault(fault);
        let vbd = sim::Storage::vbd(XVDB);
        let _serves = Blkback::attach(world, toolstack, vbd, &disk, BlkbackConfig::default());
    });
    machine.until_shown("ready");
    assert!(machine.domain.geom.provider("xbd1").is_some());
    assert!(!machine.domain.pv.hv.vcpu_is_up(1));
    let zeros = machine.command("sum xbd1 0 4096");
    assert!(
        zeros.contains("ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7"),
        "{zeros}"
    );
    machine.toolstack.shutdown(MIDDLE, "suspend");
    machine.until_shown("cancelled; the domain goes on");
    machine.toolstack.shutdown(MIDDLE, "poweroff");
    machine.until("it ends", |machine| machine.ended().is_some());
}

#[test]
fn an_export_that_is_taken_away_leaves_nothing_behind() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        setting.export_both();
        for (devid, provider) in [(XVDA, "xbd0"), (XVDB, "xbd1")] {
            let gone = setting.machine.toolstack.detach(&setting.vbd(devid), false);
            setting
                .machine
                .until("it is detached", |_| gone.outcome().is_some());
            assert!(matches!(gone.outcome(), Some(Ok(_))), "{provider}");
        }
        setting.machine.run_for(SECOND);
        let store = setting.machine.toolstack.store();
        let reported = format!("/local/domain/{MIDDLE}/error/backend");
        assert_eq!(store.read(&reported), None, "seed {seed}");
        let output = setting.machine.console.output();
        assert!(!output.contains("error"), "seed {seed}: {output}");
    }
}

#[test]
fn an_export_whose_provider_is_written_anew_in_use_is_served_on() {
    for seed in 0..10 {
        let setting = Setting::new(seed);
        let devices = setting.export_both();
        let node = format!("{}/params", setting.vbd(XVDA).backend_path());
        setting.machine.toolstack.store().write(&node, "xbd1");
        setting.machine.run_for(2 * SECOND);
        let device = devices[0].clone();
        let done = setting.ask(async move { device.write(0, pattern(1, 4096)).await });
        assert_eq!(done, Ok(()), "seed {seed}");
        assert_eq!(setting.disks[0].bytes(0, 4096), pattern(1, 4096));
        assert_eq!(setting.client.geom.counters().disks_gone, 0, "seed {seed}");
    }
}

#[test]
fn an_export_that_is_made_anew_of_another_disk_is_served_by_the_other_vcpu() {
    for seed in 0..20 {
        let setting = Setting::new(seed);
        let store = setting.machine.toolstack.store().clone();
        for (round, provider) in ["xbd0", "xbd1", "xbd0", "xbd1"].into_iter().enumerate() {
            let vbd = setting.export(XVDA, provider);
            let data = pattern(round, 4096);
            let index = usize::from(provider == "xbd1");
            // The client may have the former one for a moment.
            let arrived = (0..200).any(|_| {
                setting.machine.run_for(100 * MILLISECOND);
                let opened = setting.client.geom.open("xbd0", Access::READ_WRITE);
                let written = data.clone();
                let done = opened.is_ok_and(|device| {
                    setting
                        .ask(async move { device.write(0, written).await })
                        .is_ok()
                });
                done && setting.disks[index].bytes(0, 4096) == data
            });
            assert!(arrived, "seed {seed}, round {round}");
            setting.machine.run_for(SECOND);
            let exports = setting.machine.domain.blkback.exports();
            let names: Vec<_> = exports.iter().map(|export| &*export.provider).collect();
            assert_eq!(names, [provider], "seed {seed}, round {round}");
            store.together(&[(&vbd.frontend_path(), None), (&vbd.backend_path(), None)]);
            setting.machine.world.wake_domain(CLIENT);
        }
    }
}

#[test]
fn the_pages_of_another_vcpus_idle_disk_give_way_before_a_target_is_refused() {
    let setting = Setting::new(11);
    let Setting { machine, .. } = &setting;
    machine.until("it runs", |machine| machine.domain.pv.hv.vcpu_is_up(1));
    let device = setting.open("xbd1", Access::READ);
    let read = setting.within(async move {
        let reads: Vec<_> = (0..16)
            .map(|number| device.read(number * 65_536, 65_536))
            .collect();
        let mut count = 0;
        for read in reads {
            count += read.await.map_or(0, |bytes| bytes.len());
        }
        count
    });
    assert_eq!(read, 1 << 20);
    machine.run_for(SECOND);
    let requests = || setting.backends[1].served().requests;
    let before = requests();
    let target = plan::floor(&machine.domain.pv.hv.memory_use()) - 50 * 8 / 7;
    machine.toolstack.set_memory(MIDDLE, target * 4);
    let is_so = |machine: &Machine| machine.world.reservation(MIDDLE) == target;
    machine.until("it has less", is_so);
    let mut lines = machine.domain.pv.log.lines_from(0);
    assert!(!lines.any(|line| line.text.contains("refused")));
    assert_eq!(requests(), before);
}
