//! Several clients of one export.

use geom::disk::{Command, DiskHandle};
use geom::{Access, Errno};
use nbd::Fault;

use crate::client::{ACK, Client, FLUSH, GO, READ, wish};
use crate::rig::{Rig, SIZE, params, pattern};

/// Two clients of the export that may be written.
fn two(rig: &Rig) -> [Client<'_>; 2] {
    [false, true].map(|structured| rig.client("disk", structured))
}

/// How the disk is open.
fn counts(rig: &Rig) -> String {
    let disk = rig.geom.provider("xbd0").expect("the disk");
    disk.counts.to_string()
}

fn assert_reads(client: &Client<'_>, at: u64, expected: &[u8]) {
    let length = expected.len() as u32;
    client.ask(READ, 0, 9, (at, length));
    let replies = client.replies(&[(9, length)]);
    assert_eq!((replies.len(), replies[0].error), (1, 0));
    assert!(replies[0].data() == expected);
}

/// Has the disk answer what it was given before it was lost.
fn lose(rig: &Rig, disk: &DiskHandle) {
    disk.gone();
    rig.run();
    for bio in rig.media.held.take() {
        bio.complete(Err(Errno::NoDevice));
    }
    rig.run();
}

#[test]
fn each_reads_what_the_others_have_written() {
    let rig = Rig::new();
    let clients = two(&rig);
    assert_eq!(counts(&rig), "r1w1e1", "it is open once");
    for (writer, reader) in [(0, 1), (1, 0)] {
        let data = [writer as u8 + 1; 4096];
        clients[writer].write(0, 5, 8192, &data);
        assert_eq!(clients[writer].replies(&[])[0].error, 0);
        assert_reads(&clients[reader], 8192, &data);
    }
}

#[test]
fn a_flush_of_one_is_about_the_writes_of_all() {
    let rig = Rig::new();
    let [first, second] = two(&rig);
    rig.media.hold.set(true);
    for done in [true, false] {
        first.write(0, 1, 0, &[1; 512]);
        if done {
            rig.media.finish(0);
            rig.run();
            assert_eq!(first.replies(&[])[0].error, 0);
        }
        second.ask(FLUSH, 0, 2, (0, 0));
        if !done {
            let held = rig.media.held.borrow().len();
            assert_eq!(held, 1, "not before what was written");
            rig.media.finish(0);
            rig.run();
        }
        assert_eq!(rig.media.held.borrow()[0].command, Command::Flush);
        assert_eq!(second.replies(&[]), [], "not before the disk has done it");
        rig.media.finish(0);
        rig.run();
        assert_eq!(second.replies(&[])[0].error, 0);
    }
}

#[test]
fn the_first_may_leave_while_the_second_goes_on_and_the_last_frees_the_disk() {
    let rig = Rig::new();
    let [first, second] = two(&rig);
    rig.media.hold.set(true);
    first.write(0, 1, 0, &[7; 512]);
    first.hang_up();
    rig.release();
    assert_eq!(second.ended(), None);
    assert_reads(&second, 0, &[7; 512]);
    second.write(0, 1, 512, &[8; 512]);
    assert_eq!(second.replies(&[])[0].error, 0);
    let refused = rig.geom.open_as("xbd0", Access::READ_WRITE, "other");
    let holder = refused.err().and_then(|why| why.holder);
    assert_eq!(holder.as_deref(), Some("nbd disk"));
    second.hang_up();
    rig.assert_quiet();
    let other = rig.geom.open_as("xbd0", Access::EXCLUSIVE, "other");
    assert!(other.is_ok());
    let client = rig.connect();
    client.greet();
    assert_eq!(client.option(GO, &wish("disk", &[]))[0].0, 0x8000_0002);
}

#[test]
fn d43_a_disk_that_is_lost_ends_all_clients_of_an_export_and_is_let_go() {
    let rig = Rig::new();
    let clients = two(&rig);
    let idle = two(&rig);
    rig.media.hold.set(true);
    for client in &clients {
        client.ask(READ, 0, 1, (0, 512));
    }
    rig.disk.gone();
    rig.run();
    for client in &idle {
        assert_eq!(client.ended(), Some(Err(Fault::Lost)));
    }
    assert!(!rig.media.gone.get(), "the others have requests");
    lose(&rig, &rig.disk);
    for client in &clients {
        let replies = client.replies(&[]);
        assert_eq!((replies.len(), replies[0].error), (1, 108));
        assert_eq!(client.ended(), Some(Err(Fault::Lost)));
    }
    assert!(rig.media.gone.get(), "nobody holds it");
    assert_eq!(rig.exec.tasks(), []);
}

#[test]
fn d44_who_stays_hears_of_the_loss_whoever_has_left() {
    for leaver in 0..2 {
        for last in 0..2 {
            let rig = Rig::new();
            let clients = two(&rig);
            // Each that does something waits for the loss anew.
            assert_reads(&clients[last], 0, &pattern(512));
            clients[leaver].hang_up();
            lose(&rig, &rig.disk);
            let stayed = &clients[1 - leaver];
            assert_eq!(stayed.ended(), Some(Err(Fault::Lost)), "{leaver} {last}");
            assert!(rig.media.gone.get());
        }
    }
}

#[test]
fn d45_who_still_has_a_lost_disk_keeps_nobody_from_the_next_of_its_name() {
    let rig = Rig::new();
    let [stuck, _idle] = two(&rig);
    rig.media.hold.set(true);
    stuck.ask(READ, 0, 1, (0, 512));
    rig.disk.gone();
    rig.run();
    assert_eq!(stuck.ended(), None);
    let (media, _disk) = rig.new_disk(params(0, SIZE));
    let next = two(&rig);
    next[0].write(0, 1, 0, &[5; 512]);
    assert_reads(&next[1], 0, &[5; 512]);
    assert_eq!(media.bytes.borrow()[..512], [5; 512]);
    lose(&rig, &rig.disk);
    assert_eq!(stuck.ended(), Some(Err(Fault::Lost)));
    assert!(rig.media.gone.get() && !media.gone.get());
    assert_eq!(next.map(|client| client.ended()), [None, None]);
}

#[test]
fn d46_a_greedy_client_of_an_export_leaves_the_others_their_part_and_their_places() {
    let rig = Rig::new();
    let [greedy, modest] = two(&rig);
    rig.media.hold.set(true);
    for cookie in 0..100 {
        greedy.ask(READ, 0, cookie, (0, 64 << 10));
    }
    let greedys = rig.media.held_bytes();
    assert_eq!(greedys, 1 << 20);
    modest.ask(READ, 0, 1, (0, 512));
    assert_eq!(rig.media.held_bytes(), greedys + 512, "it waits for nobody");
    for _ in 0..=(greedys / (64 << 10)) {
        rig.media.finish(0);
        rig.run();
    }
    assert_eq!(modest.replies(&[]).len(), 1);
    // One peer gets four places, and others the rest.
    let _others = two(&rig);
    let fifth = rig.connect();
    fifth.greet();
    assert_eq!(fifth.option(GO, &wish("disk", &[]))[0].0, 0x8000_0002);
    let other = rig.connect_from(2);
    other.greet();
    let replies = other.option(GO, &wish("disk", &[]));
    assert_eq!(replies.last(), Some(&(ACK, vec![])));
}
