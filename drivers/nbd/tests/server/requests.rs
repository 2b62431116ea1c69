//! Requests of an honest client.

use geom::Errno;
use geom::disk::Command;

use crate::client::{DISC, FLUSH, FUA, READ, TRIM, ZEROES};
use crate::rig::{Rig, SIZE, pattern};

#[test]
fn reads_of_every_length_give_what_is_there() {
    for structured in [false, true] {
        let rig = Rig::new();
        let client = rig.client("disk", structured);
        let lengths = [
            0,
            512,
            4096,
            128 << 10,
            (128 << 10) + 512,
            256 << 10,
            SIZE as u32 - 512,
        ];
        for (cookie, length) in lengths.into_iter().enumerate() {
            let cookie = cookie as u64;
            client.ask(READ, 0, cookie, (512, length));
            let replies = client.replies(&[(cookie, length)]);
            assert_eq!(replies.len(), 1);
            let reply = &replies[0];
            assert!(reply.done && reply.error == 0 && reply.cookie == cookie);
            let expected = &pattern(SIZE)[512..512 + length as usize];
            assert!(
                reply.data() == expected,
                "{length} bytes, structured {structured}"
            );
            let chunks = reply.chunks.iter().all(|(_, data)| data.len() <= 128 << 10);
            assert!(chunks || !structured);
            assert!(
                reply
                    .chunks
                    .iter()
                    .all(|(at, _)| !structured || at % 512 == 0)
            );
        }
        client.ask(DISC, 0, 0, (0, 0));
        assert_eq!(client.ended(), Some(Ok(())));
        rig.assert_quiet();
    }
}

#[test]
fn a_read_that_may_not_be_cut_comes_whole_or_not_at_all() {
    let rig = Rig::new();
    let client = rig.client("disk", true);
    for (length, error) in [(64 << 10, 0), (256 << 10, 0), ((256 << 10) + 512, 75)] {
        client.ask(READ, 4, 9, (0, length));
        let reply = client.replies(&[]).remove(0);
        assert_eq!(
            (reply.error, reply.chunks.len()),
            (error, usize::from(error == 0))
        );
    }
}

#[test]
fn writes_of_every_length_arrive() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    for length in [0, 512, 128 << 10, (256 << 10) + 512, SIZE - 1024] {
        let data: Vec<u8> = pattern(length + 7).split_off(7);
        client.write(0, 3, 1024, &data);
        let reply = client.replies(&[]).remove(0);
        assert_eq!((reply.cookie, reply.error), (3, 0));
        assert!(rig.media.bytes.borrow()[1024..1024 + length] == data);
    }
}

#[test]
fn trims_and_zeroes_and_flushes_are_carried_out() {
    let rig = Rig::new();
    let client = rig.client("disk", true);
    client.ask(TRIM, 0, 1, (4096, 8192));
    client.ask(ZEROES, 2, 2, (SIZE as u64 - 300 * 1024, 300 << 10));
    client.ask(FLUSH, 0, 3, (0, 0));
    let errors: Vec<_> = client
        .replies(&[])
        .iter()
        .map(|r| (r.cookie, r.error))
        .collect();
    assert_eq!(errors, [(1, 0), (2, 0), (3, 0)]);
    let bytes = rig.media.bytes.borrow();
    assert!(bytes[4096..12288].iter().all(|byte| *byte == 0));
    assert!(bytes[SIZE - 300 * 1024..].iter().all(|byte| *byte == 0));
    assert!(bytes[12288..SIZE - 300 * 1024] == pattern(SIZE)[12288..SIZE - 300 * 1024]);
    assert_eq!(rig.media.commands().last(), Some(&Command::Flush));
}

#[test]
fn what_is_to_be_durable_is_flushed_before_the_answer() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    rig.media.hold.set(true);
    for command in [1, TRIM, ZEROES] {
        match command {
            1 => client.write(FUA, 5, 0, &[7; 512]),
            _ => client.ask(command, FUA, 5, (0, 512)),
        }
        rig.media.finish(0);
        rig.run();
        assert_eq!(client.replies(&[]), [], "not before the flush");
        assert_eq!(rig.media.held.borrow()[0].command, Command::Flush);
        rig.media.finish(0);
        rig.run();
        assert_eq!(client.replies(&[])[0].error, 0);
    }
}

#[test]
fn requests_are_carried_out_beside_each_other_and_answered_as_they_end() {
    let rig = Rig::new();
    let client = rig.client("disk", true);
    rig.media.hold.set(true);
    for cookie in 0..4 {
        client.ask(READ, 0, cookie, (cookie * 512, 512));
    }
    assert_eq!(rig.media.held.borrow().len(), 4);
    for index in [2, 0, 1, 0] {
        rig.media.finish(index);
        rig.run();
    }
    let order: Vec<u64> = client
        .replies(&[])
        .iter()
        .map(|reply| reply.cookie)
        .collect();
    assert_eq!(order, [2, 0, 3, 1]);
}

#[test]
fn errors_of_the_disk_are_told_and_the_client_goes_on() {
    for structured in [false, true] {
        for (errno, code) in [(Errno::Io, 5), (Errno::NoSpace, 28)] {
            let rig = Rig::new();
            let client = rig.client("disk", structured);
            rig.media.fail_beyond.set(Some((300 << 10, errno)));
            // The first piece, a later one, and what comes after the error.
            client.write(0, 1, 300 << 10, &[1; 512]);
            client.write(0, 2, 0, &vec![1; 700 << 10]);
            client.write(FUA, 3, 0, &[2; 512]);
            client.ask(READ, 0, 4, (300 << 10, 512));
            client.ask(READ, 0, 5, (0, 512));
            let replies = client.replies(&[(5, 512)]);
            let errors: Vec<_> = replies.iter().map(|r| (r.cookie, r.error)).collect();
            assert_eq!(errors, [(1, code), (2, code), (3, 0), (4, code), (5, 0)]);
            assert_eq!(replies[4].data(), [2; 512]);
        }
    }
}

#[test]
fn after_an_error_no_more_of_a_write_is_begun() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    rig.media.fail_beyond.set(Some((0, Errno::NoSpace)));
    client.write(0, 1, 0, &vec![1; 1 << 20]);
    assert_eq!(client.replies(&[])[0].error, 28);
    let log = rig.media.log.borrow();
    let later =
        |(command, at, _): &&(Command, u64, u64)| *command == Command::Write && *at >= 256 << 10;
    assert_eq!(log.iter().find(later), None, "two pieces were under way");
}

#[test]
fn a_structured_read_that_fails_later_says_so() {
    let rig = Rig::new();
    let client = rig.client("disk", true);
    rig.media.fail_beyond.set(Some((300 << 10, Errno::Io)));
    client.ask(READ, 0, 4, (0, 1 << 20));
    let reply = client.replies(&[]).remove(0);
    assert_eq!((reply.error, reply.done, reply.chunks.len()), (5, true, 2));
    client.ask(READ, 0, 5, (0, 512));
    assert_eq!(client.replies(&[])[0].error, 0);
}

#[test]
fn a_simple_read_that_fails_later_ends_the_connection() {
    let rig = Rig::new();
    let client = rig.client("disk", false);
    rig.media.fail_beyond.set(Some((300 << 10, Errno::Io)));
    // As long as all of it is read before, the error can be said.
    client.ask(READ, 0, 4, ((300 << 10) - 512, 256 << 10));
    assert_eq!(client.replies(&[])[0].error, 5);
    client.ask(READ, 0, 4, (0, 1 << 20));
    assert_eq!(client.ended(), Some(Err(nbd::Fault::TornRead)));
    assert_eq!(client.take().len(), 16 + (256 << 10));
    rig.assert_quiet();
}

#[test]
fn answers_of_others_come_after_a_long_simple_reply_and_between_chunks() {
    for structured in [false, true] {
        let rig = Rig::new();
        let client = rig.client("disk", structured);
        rig.media.hold.set(true);
        client.ask(READ, 0, 1, (0, 512 << 10));
        // Two pieces of 128 KiB, in requests of 64 KiB.
        assert_eq!(rig.media.held_bytes(), 256 << 10);
        client.ask(READ, 0, 2, (0, 512));
        rig.media.finish(0);
        rig.media.finish(0);
        rig.run();
        let small = rig
            .media
            .held
            .borrow()
            .iter()
            .position(|bio| bio.length == 512);
        rig.media.finish(small.expect("the small one"));
        rig.run();
        while !rig.media.held.borrow().is_empty() {
            rig.media.finish(0);
            rig.run();
        }
        let replies = client.replies(&[(1, 512 << 10), (2, 512)]);
        assert_eq!(replies.len(), 2);
        for reply in replies {
            let length = if reply.cookie == 1 { 512 << 10 } else { 512 };
            assert!(reply.done && reply.data() == pattern(SIZE)[..length]);
        }
    }
}
