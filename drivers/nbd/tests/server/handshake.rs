//! Options: what is offered, to whom.

use geom::Access;
use nbd::{Fault, Limits};

use crate::client::{ACK, GO, INFO, READ, STRUCTURED, option_bytes, wish};
use crate::rig::{Rig, SIZE, params};

const LIST: u32 = 3;
const ABORT: u32 = 2;
const UNSUP: u32 = 0x8000_0001;
const POLICY: u32 = 0x8000_0002;
const UNKNOWN: u32 = 0x8000_0006;
const BLOCK_SIZE_REQD: u32 = 0x8000_0008;

/// An INFO reply about the export: its size and flags.
fn export(size: usize, flags: u16) -> (u32, Vec<u8>) {
    let mut data = vec![0, 0];
    data.extend((size as u64).to_be_bytes());
    data.extend(flags.to_be_bytes());
    (3, data)
}

fn blocks(least: u32) -> (u32, Vec<u8>) {
    let mut data = vec![0, 3];
    for size in [least, 4096, 32 << 20] {
        data.extend(size.to_be_bytes());
    }
    (3, data)
}

/// Flags, flush, FUA, trim, zeroes, several connections.
const WRITABLE: u16 = 0b1_0110_1101;

#[test]
fn exports_are_listed_described_and_chosen() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    let names: Vec<_> = client.option(LIST, &[]);
    let entry = |name: &str| {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        (2, data)
    };
    let names_expected: Vec<_> = ["disk", "fixed", "absent", "other"].map(entry).into();
    assert_eq!(names[..4], names_expected);
    assert_eq!(names[4..], [(ACK, vec![])]);
    let described = [blocks(512), export(SIZE, WRITABLE), (ACK, vec![])];
    assert_eq!(client.option(INFO, &wish("disk", &[3])), described);
    let name = (3, b"\0\x01disk".to_vec());
    let named = [blocks(512), name, export(SIZE, WRITABLE), (ACK, vec![])];
    assert_eq!(client.option(INFO, &wish("", &[1, 77])), named);
    // Read-only: flags and several connections.
    let fixed = [blocks(512), export(SIZE, 0b1_0000_0011), (ACK, vec![])];
    assert_eq!(client.option(INFO, &wish("fixed", &[])), fixed);
    assert!(!rig.media.open.get(), "INFO holds nothing");
    assert_eq!(client.option(STRUCTURED, &[]), [(ACK, vec![])]);
    let structured = [blocks(512), export(SIZE, WRITABLE | 0x80), (ACK, vec![])];
    assert_eq!(client.option(GO, &wish("disk", &[])), structured);
    assert!(rig.media.open.get());
    client.hang_up();
    rig.assert_quiet();
}

#[test]
fn the_old_way_to_choose_has_zeroes_unless_they_were_declined() {
    for (flags, zeroes) in [(1, 124), (3, 0)] {
        let rig = Rig::new();
        let client = rig.connect();
        client.take();
        client.send(&[0, 0, 0, flags]);
        client.send(&option_bytes(1, b"disk"));
        let mut expected = (SIZE as u64).to_be_bytes().to_vec();
        expected.extend(WRITABLE.to_be_bytes());
        expected.resize(10 + zeroes, 0);
        assert_eq!(client.take(), expected);
        client.ask(READ, 0, 7, (0, 512));
        assert_eq!(client.replies(&[(7, 512)])[0].error, 0);
    }
}

#[test]
fn a_client_may_leave_by_its_own_word() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    assert_eq!(client.option(ABORT, b"whatever"), [(ACK, vec![])]);
    assert_eq!(client.ended(), Some(Ok(())));
    rig.assert_quiet();
}

#[test]
fn what_cannot_be_had_is_refused_and_another_may_be_chosen() {
    let rig = Rig::new();
    let _other = rig.geom.open_as("xbd0", Access::EXCLUSIVE, "other");
    let mut client = rig.connect();
    client.greet();
    for name in ["absent", "nothing"] {
        let kinds: Vec<u32> = client
            .option(GO, &wish(name, &[3]))
            .iter()
            .map(|r| r.0)
            .collect();
        assert_eq!(kinds, [UNKNOWN], "{name}");
    }
    let held = client.option(GO, &wish("disk", &[3]));
    assert_eq!((held.len(), held[0].0), (1, POLICY));
    let text = String::from_utf8(held[0].1.clone()).expect("words");
    assert_eq!(text, "it is in use");
    // STARTTLS, metadata contexts, extended headers, and what nobody knows.
    for option in [5, 9, 10, 11, 4, 0, 99] {
        assert_eq!(client.option(option, &[])[0].0, UNSUP);
    }
    let replies = client.option(GO, &wish("fixed", &[3]));
    assert_eq!(replies.last(), Some(&(ACK, vec![])));
    client.structured = false;
    client.ask(READ, 0, 1, (512, 512));
    assert_eq!(
        client.replies(&[(1, 512)])[0].data(),
        rig.media.bytes.borrow()[512..1024]
    );
}

#[test]
fn large_blocks_are_for_clients_that_ask_for_them() {
    let mut params = params(0, SIZE);
    params.sector_size = 4096;
    let rig = Rig::with(params, Limits::default());
    let old = rig.connect();
    old.greet();
    old.send(&option_bytes(1, b"disk"));
    assert_eq!(old.ended(), Some(Err(Fault::Refused)));
    let client = rig.connect();
    client.greet();
    let replies = client.option(GO, &wish("disk", &[]));
    assert_eq!(replies[0], blocks(4096));
    assert_eq!((replies.len(), replies[1].0), (2, BLOCK_SIZE_REQD));
    assert!(!rig.media.open.get());
    let replies = client.option(INFO, &wish("disk", &[3]));
    assert_eq!(replies.last(), Some(&(ACK, vec![])));
    let replies = client.option(GO, &wish("disk", &[]));
    assert_eq!(replies.last(), Some(&(ACK, vec![])), "it has asked before");
    client.ask(READ, 0, 1, (512, 4096));
    client.ask(READ, 0, 2, (4096, 512));
    client.ask(READ, 0, 3, (4096, 4096));
    let replies = client.replies(&[(3, 4096)]);
    let errors: Vec<_> = replies.iter().map(|reply| reply.error).collect();
    assert_eq!(errors, [22, 22, 0]);
}

#[test]
fn a_disk_that_cannot_be_written_is_offered_for_reading() {
    let mut params = params(0, SIZE);
    params.read_only = true;
    let rig = Rig::with(params, Limits::default());
    let client = rig.client("disk", false);
    client.write(0, 1, 0, &[0; 512]);
    assert_eq!(client.replies(&[])[0].error, 1);
}

#[test]
fn a_disk_without_flush_and_trim_does_not_offer_them() {
    let mut params = params(0, SIZE);
    params.limits.can_flush = false;
    params.limits.can_delete = false;
    let rig = Rig::with(params, Limits::default());
    let client = rig.connect();
    client.greet();
    let replies = client.option(GO, &wish("disk", &[]));
    assert_eq!(replies[1], export(SIZE, 0b100_0001));
    for (command, flags) in [(3, 0), (4, 0), (1, 1)] {
        client.ask(command, flags, 1, (0, 0));
        assert_eq!(client.replies(&[])[0].error, 22, "{command}");
    }
}
