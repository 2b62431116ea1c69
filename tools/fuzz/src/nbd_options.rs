//! Harness for the handshake of the NBD server.
//!
//! Oracle:
//!
//! * what a client is answered, and how its connection ends, is what a plain reading of the whole
//!   input says, however the input is cut into pieces;
//! * replies are whole, and their lengths are those of the protocol;
//! * when the client has left, no task is left and no provider open.

use crate::nbd_stream::{Client, EXPORTS, SIZE};
use nbd::Fault;

/// How a client that sends these bytes and hangs up fares.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By its own word, or with the transmission phase: after so many bytes.
    Chosen(usize),
    Aborted,
    HungUp,
    Broken,
    Refused,
}

/// Runs one input. Its first byte says how many bytes the server reads at a time.
///
/// # Panics
/// If the oracle is broken.
pub fn nbd_options(data: &[u8]) {
    let (piece, bytes) = data
        .split_first()
        .map_or((0, data), |(first, rest)| (*first, rest));
    let piece = if piece == 0 { usize::MAX } else { piece.into() };
    let (expected, end) = plain(bytes);
    let used = if let End::Chosen(used) = end {
        used
    } else {
        bytes.len()
    };
    let client = Client::new(piece);
    let said = client.say(&bytes[..used]);
    let greeting = b"NBDMAGICIHAVEOPT\0\x03";
    let answers = said.strip_prefix(greeting).expect("the greeting");
    let (answers, rest) = replies(answers);
    assert_eq!(answers, expected);
    let description = if end_is_old(&end, bytes) {
        &rest[..10]
    } else {
        &[]
    };
    let zeroes = rest[description.len()..].iter().all(|byte| *byte == 0);
    assert!(zeroes && matches!(rest.len(), 0 | 10 | 134), "{rest:?}");
    if let Some(size) = description.get(..8) {
        assert_eq!(size, (SIZE as u64).to_be_bytes());
    }
    let fault = client.hang_up();
    match end {
        End::Aborted => assert_eq!(fault, Ok(())),
        End::Chosen(_) | End::HungUp => assert_eq!(fault, Err(Fault::Disconnected)),
        End::Refused => assert_eq!(fault, Err(Fault::Refused)),
        End::Broken => assert!(matches!(fault, Err(Fault::Protocol(_))), "{fault:?}"),
    }
}

/// Whether an export was chosen in the old way: the last option is then EXPORT_NAME.
fn end_is_old(end: &End, bytes: &[u8]) -> bool {
    let End::Chosen(used) = end else { return false };
    let mut at = 4;
    while let Some(length) = word(bytes, at + 12) {
        let next = at + 16 + length as usize;
        if next == *used {
            return word(bytes, at + 8) == Some(1);
        }
        at = next;
    }
    false
}

/// The replies by option and type, and how it ends.
fn plain(bytes: &[u8]) -> (Vec<(u32, u32)>, End) {
    let mut replies = Vec::new();
    match word(bytes, 0) {
        None => return (replies, End::HungUp),
        Some(flags) if flags > 3 => return (replies, End::Broken),
        Some(_) => {}
    }
    let (mut at, mut knows_blocks) = (4, false);
    for _ in 0..256 {
        let (Some(option), Some(length)) = (word(bytes, at + 8), word(bytes, at + 12)) else {
            return (replies, End::HungUp);
        };
        if &bytes[at..at + 8] != b"IHAVEOPT" || length > 1 << 20 || option == 1 && length > 8192 {
            return (replies, End::Broken);
        }
        let end = at + 16 + length as usize;
        let Some(data) = bytes.get(at + 16..end) else {
            return (replies, End::HungUp);
        };
        at = end;
        let name = |name: &[u8]| match name {
            b"" => Some(EXPORTS[0]),
            _ => EXPORTS
                .into_iter()
                .find(|(known, ..)| known.as_bytes() == name),
        };
        let mut reply = |kinds: &[u32]| replies.extend(kinds.iter().map(|kind| (option, *kind)));
        match option {
            1 if name(data).is_some() => return (replies, End::Chosen(at)),
            1 => return (replies, End::Refused),
            2 => {
                reply(&[1]);
                return (replies, End::Aborted);
            }
            _ if length > 8192 => reply(&[0x8000_0009]),
            3 | 8 if length > 0 => reply(&[0x8000_0003]),
            3 => reply(&[2, 2, 2, 2, 1]),
            8 => reply(&[1]),
            6 | 7 => match wish(data) {
                None => reply(&[0x8000_0003]),
                Some((wanted, asked)) => {
                    knows_blocks |= asked.contains(&3);
                    match name(wanted) {
                        None => reply(&[0x8000_0006]),
                        Some((_, 4096, _)) if option == 7 && !knows_blocks => {
                            reply(&[3, 0x8000_0008]);
                        }
                        Some(_) => {
                            let count = 2 + usize::from(asked.contains(&1));
                            reply(&vec![3; count]);
                            reply(&[1]);
                            if option == 7 {
                                return (replies, End::Chosen(at));
                            }
                        }
                    }
                }
            },
            _ => reply(&[0x8000_0001]),
        }
    }
    (replies, End::Broken)
}

/// The name and what is asked for, if the lengths fit.
fn wish(data: &[u8]) -> Option<(&[u8], Vec<u16>)> {
    let length = word(data, 0)? as usize;
    let name = data.get(4..4usize.checked_add(length)?)?;
    let rest = &data[4 + length..];
    let (count, list) = rest.split_at_checked(2)?;
    let asked: Vec<u16> = list.chunks(2).map(half).collect();
    (list.len() == 2 * usize::from(half(count))).then_some((name, asked))
}

fn half(pair: &[u8]) -> u16 {
    pair.iter().fold(0, |all, byte| all << 8 | u16::from(*byte))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(
        bytes
            .iter()
            .fold(0, |all, byte| all << 8 | u32::from(*byte)),
    )
}

/// The replies by option and type, with their laws checked, and the bytes after the last.
fn replies(mut bytes: &[u8]) -> (Vec<(u32, u32)>, &[u8]) {
    let mut replies = Vec::new();
    while bytes.starts_with(&0x0003_e889_0455_65a9_u64.to_be_bytes()) {
        let field = |at| word(bytes, at).expect("a whole reply");
        let (option, kind, length) = (field(8), field(12), field(16) as usize);
        let data = &bytes[20..20 + length];
        match (kind, data.get(1)) {
            (1, _) => assert_eq!(length, 0),
            (2, _) => assert_eq!(word(data, 0).map(|name| name as usize + 4), Some(length)),
            (3, Some(0)) => assert_eq!(length, 12),
            (3, Some(1)) => assert!(length > 2),
            (3, Some(3)) => assert_eq!(length, 14),
            (kind, _) => assert!(kind > 1 << 31 && data.is_ascii()),
        }
        replies.push((option, kind));
        bytes = &bytes[20 + length..];
    }
    (replies, bytes)
}
