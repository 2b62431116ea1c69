//! The composition that the image runs, serving memory disks to a domain with the shipped frontend.

use std::future::Future;
use std::time::Duration;

use geom::{Access, Device, Errno};
use hv::DomId;
use sim::scene::pattern;
use sim::storage::XVDA;
use sim::{DomainConfig, Guest, Machine, Vbd};

const CLIENT: DomId = DomId(7);
const SECOND: Duration = Duration::from_secs(1);

fn boot(seed: u64, command_line: &str) -> Machine {
    let config = DomainConfig {
        pages: 4096,
        ..DomainConfig::default()
    };
    let machine = Machine::boot_with(seed, command_line, config, |_, _| {});
    machine.until_shown("ready");
    machine.run_for(SECOND);
    machine
}

/// A client whose `xbd0` is `target` of the machine's domain.
fn client(machine: &Machine, target: &str) -> (Guest, Device) {
    let config = DomainConfig::default();
    let guest = Guest::with_disks(&machine.world, &machine.toolstack, CLIENT, config);
    let vbd = Vbd {
        guest: CLIENT,
        backend: Machine::GUEST,
        devid: XVDA,
    };
    machine.toolstack.create_vbd_of(&vbd, target, "w");
    machine.until("the client has its disk", |_| {
        guest.geom.provider("xbd0").is_some() && guest.geom.is_settled()
    });
    let opened = guest.geom.open("xbd0", Access::READ_WRITE);
    let device = opened.expect("nobody in the way");
    (guest, device)
}

fn ask<T: 'static>(
    machine: &Machine,
    guest: &Guest,
    future: impl Future<Output = T> + 'static,
) -> T {
    match guest.run(&machine.world, future) {
        Ok(value) => value,
        Err(stop) => panic!("{stop}\n{}", machine.console.output()),
    }
}

fn write(machine: &Machine, (guest, device): (&Guest, &Device), at: u64, bytes: Vec<u8>) {
    let io = device.write(at, bytes);
    assert_eq!(ask(machine, guest, io), Ok(()));
}

fn used(machine: &Machine) -> u64 {
    machine.domain.geom.mds()[0].used
}

#[test]
fn memory_disks_are_made_as_the_command_line_says() {
    let machine = boot(1, "md=ram:1M md=scratch:64k md=ram:1M md=huge:1T");
    let mds = machine.domain.geom.mds();
    let names = mds.iter().map(|md| (&*md.name, &*md.label, md.size));
    let expected = [("md0", "ram", 1 << 20), ("md1", "scratch", 1 << 16)];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let output = machine.console.output();
    assert!(output.contains("md=ram: there is a memory disk \"ram\""));
    assert!(output.contains("md=huge: 1099511627776 bytes are wanted"));
    let list = machine.command("mdconfig -l");
    assert_eq!(list.lines().count(), 3, "{list}");
    assert_eq!(machine.command("mdconfig -a -s 8k -u 5"), "md5\n");
    assert!(machine.command("disk list").contains("md5"));
    assert_eq!(machine.command("mdconfig -d -u 5"), "");
    assert!(!machine.command("disk list").contains("md5"));
}

#[test]
fn what_a_client_writes_to_a_memory_disk_it_reads_and_what_it_discards_is_given_back() {
    let machine = boot(2, "md=ram:4M");
    let (guest, device) = client(&machine, "ram");
    let both = (&guest, &device);
    for (at, length) in [(0, 4096), (512, 8192), (1 << 20, 1 << 20), (8192, 66048)] {
        let bytes = pattern(at, length);
        write(&machine, both, at as u64, bytes.clone());
        let read = ask(&machine, &guest, device.read(at as u64, length));
        assert!(read == Ok(bytes), "{length} at {at}");
    }
    let full = used(&machine);
    assert!(full > 1 << 20);
    let limits = device.limits().expect("it lives");
    assert!(limits.can_delete && limits.can_erase);
    assert_eq!(
        ask(&machine, &guest, device.delete(1 << 20, 1 << 20)),
        Ok(())
    );
    assert_eq!(used(&machine), full - (1 << 20));
    let read = ask(&machine, &guest, device.read(1 << 20, 1 << 20));
    assert!(read == Ok(vec![0; 1 << 20]));
    // Half of a page is erased while the copy of what was written to it may still wait.
    let written = device.write(0, vec![7; 4096]);
    let erased = device.erase(0, 2048);
    assert_eq!(ask(&machine, &guest, written), Ok(()));
    assert_eq!(ask(&machine, &guest, erased), Ok(()));
    let mut expected = vec![7; 4096];
    expected[..2048].fill(0);
    assert_eq!(ask(&machine, &guest, device.read(0, 4096)), Ok(expected));
}

#[test]
fn faults_of_a_nop_are_the_client_s_errors_and_never_its_data() {
    let machine = boot(3, "md=ram:1M run=\"gnop create -r 20 -w 20 -R 9 ram\"");
    machine.until_shown("md0.nop");
    let (guest, device) = client(&machine, "md0.nop");
    let mut failed = 0;
    for index in 0..100_u64 {
        let (at, bytes) = (index % 16 * 4096, pattern(index as usize, 4096));
        let written = ask(&machine, &guest, device.write(at, bytes.clone()));
        let read = ask(&machine, &guest, device.read(at, 4096));
        failed += u32::from(written.is_err()) + u32::from(read.is_err());
        match (written, read) {
            (Ok(()), Ok(read)) => assert!(read == bytes, "wrong data"),
            (written, read) => assert!(
                written.is_ok() || written == Err(Errno::Io),
                "{written:?} {read:?}"
            ),
        }
    }
    assert!((10..80).contains(&failed), "{failed} of 200");
    let list = machine.command("gnop list");
    assert!(list.contains("Read 20% EIO, Write 20% EIO"), "{list}");
    let refused = machine.command("gnop destroy md0.nop");
    assert!(refused.contains("held by blkback"), "{refused}");
    let _log_lines_too = machine.command("gnop destroy -f md0.nop");
    machine.until("the client's disk is gone", |_| device.error().is_some());
    drop(device);
    machine.run_for(SECOND);
    assert_eq!(machine.command("mdconfig -d -u 0"), "");
    assert_eq!(machine.domain.geom.counters().disks_live, 0);
}
