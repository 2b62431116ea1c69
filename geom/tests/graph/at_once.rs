//! Requests that a driver carries out where it stands, and those that it must be handed.

use geom::{Access, Errno};

use crate::fake::Fake;
use crate::rig::{Rig, params, pattern};

#[test]
fn a_request_that_is_carried_out_at_once_has_ended_when_it_was_made() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ_WRITE);
    let handed = fake.strategies.get();
    fake.at_once.set(true);
    assert_eq!(device.write(0, vec![1; 512]).result(), Some(Ok(())));
    fake.fail_io.set(Some(Errno::NoSpace));
    let failed = device.write(0, vec![1; 512]);
    assert_eq!(failed.result(), Some(Err(Errno::NoSpace)));
    assert_eq!((fake.at_onces.get(), fake.strategies.get()), (2, handed));
    handle.gone();
    let late = device.write(0, vec![1; 512]);
    assert_eq!(late.result(), Some(Err(Errno::NoDevice)));
    drop(device);
    rig.settle();
    assert_eq!((fake.at_onces.get(), fake.gone.get()), (2, 1));
}

#[test]
fn what_has_something_in_its_way_is_handed_over() {
    let rig = Rig::new();
    let mut params = params(0, 64 * 512);
    params.limits.max_io = 1024;
    let fake = Fake::new(pattern(64));
    let _handle = rig.create(params, &fake);
    rig.settle();
    let device = rig.open("xbd0", Access::READ_WRITE);
    fake.at_once.set(true);
    let long = device.write(0, vec![1; 1536]);
    assert_eq!(rig.block(long), Ok(()), "longer than the disk takes");
    fake.hold.set(true);
    let ordered = device.write_ordered(0, vec![2; 512]);
    let behind = device.write(512, vec![3; 512]);
    rig.settle();
    assert_eq!(
        (fake.held(), behind.result()),
        (1, None),
        "behind an ordered one"
    );
    assert_eq!(fake.at_onces.get(), 0);
    fake.hold.set(false);
    fake.finish_all();
    assert_eq!(rig.block(ordered), Ok(()));
    assert_eq!(rig.block(behind), Ok(()));
    assert_eq!(fake.at_onces.get(), 0);
    assert_eq!(device.write(0, vec![1; 512]).result(), Some(Ok(())));
    assert_eq!(fake.at_onces.get(), 1, "nothing is in the way any more");
}

#[test]
fn a_taste_hears_of_its_reads_by_their_ends() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    fake.at_once.set(true);
    let handed = fake.strategies.get();
    handle.media_changed().unwrap();
    rig.settle();
    assert!(fake.strategies.get() > handed, "it was tasted again");
    assert_eq!(fake.at_onces.get(), 0);
    assert!(rig.geom.is_settled());
}
