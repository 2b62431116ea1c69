//! Harness for what a name server answers.
//!
//! Oracle, for a host that has asked for the addresses of `a.example`:
//!
//! * it has an answer, or none, within half a minute, whatever it was told and however often;
//! * every address that it takes stood in an answer to it, under a question for that name;
//! * it still answers an echo request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use net::{IpAddress, NetError};

use crate::network_host::Host;

const NAME: &str = "a.example";
/// The same as it stands in a message.
const LABELS: &[u8] = b"\x01a\x07example\0";
/// The longest message of an input, and how many there are at most.
const LONGEST: usize = 1400;
const MOST: usize = 16;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const HEADER: usize = 12;

/// Runs one input: messages, each behind its length in two bytes. An odd length is an answer to the
/// question for IPv6 addresses, an even one for IPv4. Numbers, ports and sums are made right.
///
/// # Panics
/// If the oracle is broken.
pub fn dns_answers(data: &[u8]) {
    let host = Host::new();
    host.run_for(Duration::from_millis(1), 200);
    host.meet();
    host.run_for(Duration::from_millis(1), 200);
    let found = Rc::new(Cell::new(None));
    let (net, result) = (host.net.clone(), found.clone());
    host.exec.spawn("resolve", async move {
        result.set(Some(net.resolve(NAME).await));
    });
    host.sent();
    host.run_for(Duration::from_millis(1), 200);
    let questions: Vec<Vec<u8>> = host
        .sent()
        .into_iter()
        .filter(|frame| asks(frame))
        .collect();
    assert_eq!(questions.len(), 2, "{questions:02x?}");
    let mut told = Vec::new();
    let mut rest = data;
    while let [high, low, after @ ..] = rest
        && told.len() < MOST
    {
        let length = usize::from(u16::from_be_bytes([*high, *low])) % LONGEST;
        let (message, after) = after.split_at(length.min(after.len()));
        rest = after;
        let question = &questions[length % 2];
        host.deliver(&answer(question, message));
        told.push(message);
        host.run_for(Duration::from_millis(1), 1000);
    }
    host.run_for(Duration::from_secs(30), 5000);
    match found.take().expect("an end") {
        Ok(addresses) => addresses.iter().for_each(|address| stood(address, &told)),
        Err(error) => assert!(
            matches!(error, NetError::NoSuchName | NetError::TimedOut),
            "{error}"
        ),
    }
    host.echoes();
}

/// Whether a frame is a question to the name server.
fn asks(frame: &[u8]) -> bool {
    frame.len() > ETHERNET + IPV4 + UDP + HEADER && frame[23] == 17 && frame[36..38] == [0, 53]
}

/// The frame that answers `question` with `message`, whose number is set.
fn answer(question: &[u8], message: &[u8]) -> Vec<u8> {
    let udp = UDP + message.len();
    let mut ip = [0; IPV4];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&((IPV4 + udp) as u16).to_be_bytes());
    ip[8..10].copy_from_slice(&[64, 17]);
    ip[12..16].copy_from_slice(&question[30..34]);
    ip[16..20].copy_from_slice(&question[26..30]);
    let words = ip.as_chunks::<2>().0.iter();
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&question[6..12], &question[..6], &[8, 0], &ip].concat();
    frame.extend(&question[36..38]);
    frame.extend(&question[34..36]);
    frame.extend((udp as u16).to_be_bytes());
    // No sum.
    frame.extend([0, 0]);
    let number = &question[ETHERNET + IPV4 + UDP..][..2];
    frame.extend(
        number
            .iter()
            .chain(message.iter().skip(2))
            .take(message.len()),
    );
    frame
}

/// An address that was taken stood in a message with one question, for that name, that is an
/// answer.
fn stood(address: &IpAddress, told: &[&[u8]]) {
    let bytes = match address {
        IpAddress::Ipv4(address) => address.octets().to_vec(),
        IpAddress::Ipv6(address) => address.octets().to_vec(),
    };
    let good = |message: &&&[u8]| {
        message.len() > HEADER
            && message[2] & 0x80 != 0
            && message[4..6] == [0, 1]
            && message.windows(bytes.len()).any(|part| part == bytes)
            && asked(&message[HEADER..], message)
    };
    assert!(
        told.iter().any(|message| good(&message)),
        "{address}: {told:02x?}"
    );
}

/// Whether the name at the start of `at` is the one that was asked for, by a reading of its own.
fn asked(at: &[u8], message: &[u8]) -> bool {
    let (mut labels, mut rest) = (Vec::new(), at);
    for _ in 0..message.len() {
        match rest {
            [0, ..] => {
                labels.push(0);
                return labels.eq_ignore_ascii_case(LABELS);
            }
            [length @ 1..64, after @ ..] => {
                let length = usize::from(*length);
                let Some(label) = after.get(..length) else {
                    return false;
                };
                labels.push(length as u8);
                labels.extend(label);
                rest = &after[length..];
            }
            [high @ 0xc0..=0xff, low, ..] => {
                let to = usize::from(u16::from_be_bytes([*high & 0x3f, *low]));
                let Some(there) = message.get(to..) else {
                    return false;
                };
                rest = there;
            }
            _ => return false,
        }
    }
    false
}
