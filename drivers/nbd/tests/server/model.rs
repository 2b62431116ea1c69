//! Random requests of several clients against a model of the disk, with the disk's answers in any
//! order.

use crate::client::{Client, FLUSH, FUA, READ, TRIM, ZEROES};
use crate::rig::{Rig, SIZE, pattern};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// What a request is to be answered with.
struct Expected {
    /// Whose it is.
    client: usize,
    cookie: u64,
    range: (u64, u32),
    data: Option<Vec<u8>>,
}

/// One life: batches of requests that do not touch each other, ended in random order.
fn live(seed: u64) {
    let random = &mut Random(seed);
    let rig = Rig::new();
    let mut clients: Vec<_> = (0..=random.below(3)).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.go("disk", random.below(2) == 0);
        client.wire.piece.set(1 + random.below(100_000) as usize);
    }
    rig.media.hold.set(true);
    let mut model = pattern(SIZE);
    for _ in 0..4 {
        let mut expected = Vec::new();
        // Ranges in the order of the disk, so that none touches another.
        let mut at = 0;
        for cookie in 0..random.below(12) {
            let left = (SIZE / 512) as u64 - at;
            let start = at + random.below(left.min(500) + 1);
            let longest = [9, 300, 1200][random.below(3) as usize];
            let count = random.below(((SIZE / 512) as u64 - start).min(longest) + 1);
            at = start + count;
            let range = (start * 512, (count * 512) as u32);
            expected.push(ask(&clients, cookie, range, &mut model, random));
        }
        finish(&rig, random);
        for (index, client) in clients.iter().enumerate() {
            let own = expected.iter().filter(|expected| expected.client == index);
            answered(client, &own.collect::<Vec<_>>(), seed);
        }
        assert!(*rig.media.bytes.borrow() == model, "seed {seed}");
    }
    clients.iter().for_each(Client::hang_up);
    rig.assert_quiet();
}

/// The client has these answers and no others.
fn answered(client: &Client<'_>, expected: &[&Expected], seed: u64) {
    let reads = expected.iter().filter(|expected| expected.data.is_some());
    let reads: Vec<_> = reads.map(|e| (e.cookie, e.range.1)).collect();
    let replies = client.replies(&reads);
    assert_eq!(replies.len(), expected.len(), "seed {seed}");
    for expected in expected {
        let reply = replies.iter().find(|reply| reply.cookie == expected.cookie);
        let reply = reply.expect("an answer");
        assert_eq!((reply.error, reply.done), (0, true), "seed {seed}");
        let data = expected.data.as_deref().unwrap_or_default();
        assert!(reply.data() == data, "seed {seed}");
    }
}

fn ask(
    clients: &[Client<'_>],
    cookie: u64,
    range: (u64, u32),
    model: &mut [u8],
    random: &mut Random,
) -> Expected {
    let index = random.below(clients.len() as u64) as usize;
    let client = &clients[index];
    let bytes = &mut model[range.0 as usize..][..range.1 as usize];
    let mut data = None;
    let fua = FUA * random.below(2) as u16;
    match random.below(5) {
        0 | 1 => {
            client.ask(READ, 0, cookie, range);
            data = Some(bytes.to_vec());
        }
        2 => {
            let fill = random.below(256) as u8;
            bytes
                .iter_mut()
                .enumerate()
                .for_each(|(at, byte)| *byte = fill ^ at as u8);
            let mut held = bytes;
            write(client, fua, cookie, range.0, &mut held);
        }
        3 => {
            client.ask(ZEROES, fua, cookie, range);
            bytes.fill(0);
        }
        _ if range.1 == 0 => client.ask(FLUSH, 0, cookie, (0, 0)),
        _ => {
            client.ask(TRIM, fua, cookie, range);
            bytes.fill(0);
        }
    }
    Expected {
        client: index,
        cookie,
        range,
        data,
    }
}

/// A long payload needs the disk before all of it is taken.
fn write(client: &Client<'_>, flags: u16, cookie: u64, offset: u64, data: &mut &mut [u8]) {
    client.write(flags, cookie, offset, data);
    while !client.wire.to_server.borrow().is_empty() {
        client.rig.media.finish(0);
        client.rig.run();
    }
}

fn finish(rig: &Rig, random: &mut Random) {
    while !rig.media.held.borrow().is_empty() {
        let count = rig.media.held.borrow().len() as u64;
        rig.media.finish(random.below(count) as usize);
        rig.run();
    }
}

#[test]
fn random_requests_read_and_leave_what_a_model_says() {
    (0..60).for_each(live);
}
