//! Clients that do not speak the protocol.

use nbd::Fault;

use crate::client::{
    ACK, DISC, FLUSH, FUA, GO, INFO, READ, STRUCTURED, TRIM, ZEROES, option_bytes, request, wish,
};
use crate::rig::{Rig, SIZE, pattern};

const ABORT: u32 = 2;
const INVALID: u32 = 0x8000_0003;
const TOO_BIG: u32 = 0x8000_0009;

#[test]
fn d01_flags_that_were_not_offered_end_it() {
    for flags in [4u32, 1 << 31, u32::MAX] {
        let rig = Rig::new();
        let client = rig.connect();
        client.send(&flags.to_be_bytes());
        assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
        rig.assert_quiet();
    }
}

#[test]
fn d02_an_option_without_its_magic_number_ends_it() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    let mut option = option_bytes(GO, &wish("disk", &[]));
    option[3] ^= 1;
    client.send(&option);
    assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
}

#[test]
fn d03_options_of_absurd_length_are_refused_in_little_memory() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    assert_eq!(client.option(GO, &vec![0; 9000])[0].0, TOO_BIG);
    assert_eq!(client.option(77, &vec![0; 1 << 20])[0].0, TOO_BIG);
    client.send(&option_bytes(ABORT, &vec![0; 1 << 20]));
    assert_eq!(client.ended(), Some(Ok(())));
    assert!(client.wire.asked.get() <= 8 << 10);
    let client = rig.connect();
    client.greet();
    // What is announced and does not come costs nothing.
    client.send(&option_bytes(GO, &[])[..12]);
    client.send(&u32::MAX.to_be_bytes());
    assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
    let client = rig.connect();
    client.greet();
    client.send(&option_bytes(1, &vec![b'x'; 9000]));
    assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
}

#[test]
fn d04_lengths_that_do_not_fit_each_other_are_invalid() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    let good = wish("disk", &[3]);
    for option in [GO, INFO] {
        for length in 0..good.len() {
            assert_eq!(client.option(option, &good[..length])[0].0, INVALID);
        }
        let mut long = good.clone();
        long.push(0);
        assert_eq!(client.option(option, &long)[0].0, INVALID);
        let mut name = good.clone();
        name[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(client.option(option, &name)[0].0, INVALID);
    }
    for option in [3, STRUCTURED] {
        assert_eq!(client.option(option, &[1])[0].0, INVALID);
    }
    assert_eq!(client.option(GO, &good).last(), Some(&(ACK, vec![])));
}

#[test]
fn d05_names_that_are_no_text_are_unknown() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    let mut data = 4u32.to_be_bytes().to_vec();
    data.extend(b"\xff\0\xfe\x80\0\0");
    assert_eq!(client.option(GO, &data)[0].0, 0x8000_0006);
    client.send(&option_bytes(1, b"\xff\xff"));
    assert_eq!(client.ended(), Some(Err(Fault::Refused)));
}

#[test]
fn d06_haggling_has_an_end() {
    let rig = Rig::new();
    let client = rig.connect();
    client.greet();
    for _ in 0..255 {
        client.option(3, &[]);
    }
    client.send(&option_bytes(3, &[]));
    assert_eq!(
        client.ended(),
        Some(Err(Fault::Protocol("endless options")))
    );
}

#[test]
fn d10_a_request_without_its_magic_number_ends_it() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    client.ask(READ, 0, 1, (0, 512));
    let mut bad = request(READ, 0, 2, (0, 512));
    bad[0] = 0;
    client.send(&bad);
    assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
    assert_eq!(client.replies(&[(1, 512)]).len(), 1);
    rig.assert_quiet();
}

#[test]
fn d11_what_is_not_there_or_not_whole_blocks_is_refused() {
    let end = SIZE as u64;
    for structured in [false, true] {
        let rig = Rig::new();
        let client = rig.client("disk", structured);
        let ranges = [
            (end, 512),
            (end - 512, 1024),
            (u64::MAX - 511, 512),
            (u64::MAX - 511, 1024),
            (u64::MAX, 1),
            (1, 512),
            (1, 0),
            (0, 511),
            (0, u32::MAX),
            (0, u32::MAX - 511),
        ];
        for command in [READ, TRIM, ZEROES, 5, 7, 8, 999, u16::MAX] {
            for range in ranges {
                client.ask(command, 0, 1, range);
                let aligned = range.0 % 512 == 0 && range.1 % 512 == 0;
                let code = if command == ZEROES && aligned { 28 } else { 22 };
                let replies = client.replies(&[]);
                assert_eq!(
                    (replies.len(), replies[0].error),
                    (1, code),
                    "{command} {range:?}"
                );
            }
        }
        for (offset, length, code) in [(end, 512, 28), (end - 512, 1 << 20, 28), (1, 700, 22)] {
            client.write(0, 8, offset, &vec![0xff; length]);
            assert_eq!(
                client.replies(&[])[0].error,
                code,
                "its payload is thrown away"
            );
        }
        client.ask(FLUSH, 0, 1, (512, 0));
        client.ask(FLUSH, 0, 1, (0, 512));
        client.ask(FLUSH, 0, 1, (0, 0));
        let errors: Vec<_> = client
            .replies(&[])
            .iter()
            .map(|reply| reply.error)
            .collect();
        assert_eq!(errors, [22, 22, 0]);
        assert!(*rig.media.bytes.borrow() == pattern(SIZE));
    }
}

#[test]
fn d12_a_read_of_more_than_32_mib_is_refused() {
    let mut params = crate::rig::params(0, 64 << 20);
    params.sector_size = 4096;
    let rig = Rig::with(params, nbd::Limits::default());
    for (structured, code) in [(false, 22), (true, 75)] {
        let client = rig.client("fixed", structured);
        client.ask(READ, 0, 1, (0, (32 << 20) + 4096));
        assert_eq!(client.replies(&[])[0].error, code);
        client.ask(READ, 0, 1, (0, 32 << 20));
        let reply = client.replies(&[(1, 32 << 20)]).remove(0);
        assert_eq!((reply.error, reply.data().len()), (0, 32 << 20));
        client.ask(DISC, 0, 1, (0, 0));
    }
}

#[test]
fn d13_a_payload_of_more_than_32_mib_ends_it() {
    let rig = Rig::new();
    let client = rig.client("fixed", false);
    client.ask(1, 0, 1, (0, (32 << 20) + 512));
    assert!(matches!(client.ended(), Some(Err(Fault::Protocol(_)))));
    rig.assert_quiet();
}

#[test]
fn d14_flags_that_were_not_offered_are_refused() {
    for structured in [false, true] {
        let rig = Rig::new();
        let client = rig.client("disk", structured);
        for command in [READ, TRIM, ZEROES, FLUSH] {
            for bit in 0..16 {
                let range = (0, if command == FLUSH { 0 } else { 512 });
                client.ask(command, 1 << bit, 1, range);
                let good = match bit {
                    0 => true,
                    1 => command == ZEROES,
                    2 => command == READ && structured,
                    _ => false,
                };
                let read = (1, if command == READ { 512 } else { 0 });
                let reply = client.replies(&[read]).remove(0);
                assert_eq!(reply.error, if good { 0 } else { 22 }, "{command} {bit}");
            }
        }
        client.write(4, 1, 0, &[0; 512]);
        assert_eq!(client.replies(&[])[0].error, 22);
    }
}

#[test]
fn d15_nothing_that_may_not_be_written_is() {
    let rig = Rig::new();
    let client = rig.client("fixed", true);
    client.write(FUA, 1, 0, &[0xff; 4096]);
    client.write(0, 2, SIZE as u64, &vec![0xff; 1 << 20]);
    client.ask(TRIM, 0, 3, (0, 512));
    client.ask(ZEROES, 0, 4, (0, 512));
    client.ask(FLUSH, 0, 5, (0, 0));
    client.ask(READ, 0, 6, (0, 512));
    let errors: Vec<_> = client
        .replies(&[])
        .iter()
        .map(|reply| reply.error)
        .collect();
    assert_eq!(errors, [1, 1, 1, 1, 22, 0]);
    assert!(*rig.media.bytes.borrow() == pattern(SIZE));
}

#[test]
fn d16_the_same_cookie_twice_is_two_requests() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    rig.media.hold.set(true);
    client.ask(READ, 0, 1, (0, 512));
    client.ask(READ, 0, 1, (512, 512));
    rig.media.finish_all();
    rig.run();
    assert_eq!(client.replies(&[(1, 512)]).len(), 2);
}
