//! Harness for the transmission phase of the NBD server.
//!
//! Oracle:
//!
//! * each request is answered once, with the error, or the data, that a plain reading of the input
//!   and a model of the disk say; the disk then holds what the model does. One request is sent
//!   after the other was answered, since what happens at the same time may do so in any order;
//! * sent all at once, each is answered once as well;
//! * what ends the connection is what the plain reading says;
//! * when the client has left, no task is left and no provider open.

use crate::nbd_stream::{Client, SIZE};
use nbd::Fault;
use std::ops::Range;

/// Runs one input. Its first byte says whether replies are structured (1) and the export is
/// read-only (2).
///
/// # Panics
/// If the oracle is broken.
pub fn nbd_requests(data: &[u8]) {
    let (modes, bytes) = data
        .split_first()
        .map_or((0, data), |(first, rest)| (*first, rest));
    let (structured, fixed) = (modes & 1 != 0, modes & 2 != 0);
    let start = |piece| {
        let client = Client::new(piece);
        let mut hello = vec![0, 0, 0, 3];
        if structured {
            hello.extend(b"IHAVEOPT\0\0\0\x08\0\0\0\0");
        }
        let name: &[u8] = if fixed { b"fixed" } else { b"disk" };
        hello.extend(b"IHAVEOPT\0\0\0\x07\0\0\0");
        hello.extend([6 + name.len() as u8, 0, 0, 0, name.len() as u8]);
        hello.extend(name);
        hello.extend([0, 0]);
        let _described = client.say(&hello);
        client
    };
    let client = start(usize::MAX);
    let mut model = vec![0x5a; SIZE];
    let mut rest = bytes;
    let mut asked = Vec::new();
    let expected_end = loop {
        let (request, range) = match next(rest) {
            Ok(found) => found,
            Err(end) => {
                let _last = client.say(rest);
                break end;
            }
        };
        let said = client.say(&rest[..range.end]);
        let payload = &rest[range.clone()];
        rest = &rest[range.end..];
        let (error, data) = expected(&request, structured, fixed, payload, &mut model);
        let reply = reply(&said, structured, data.as_ref().map_or(0, Vec::len));
        assert_eq!(
            reply,
            (request.cookie, error, data.unwrap_or_default()),
            "{request:?}"
        );
        asked.push(request.cookie);
    };
    assert!(
        *client.media.borrow() == model,
        "the disk and the model differ"
    );
    assert_eq!(
        std::mem::discriminant(&client.hang_up()),
        std::mem::discriminant(&expected_end)
    );
    let at_once = start(1 + usize::from(modes >> 2));
    let said = at_once.say(bytes);
    let _end = at_once.hang_up();
    if structured {
        let mut answered = cookies(&said);
        answered.sort_unstable();
        asked.sort_unstable();
        assert_eq!(answered, asked, "each is answered once");
    }
}

#[derive(Debug)]
struct Request {
    flags: u16,
    command: u16,
    cookie: u64,
    offset: u64,
    length: u32,
}

/// The next request, and where its payload is; or how the connection ends.
fn next(bytes: &[u8]) -> Result<(Request, Range<usize>), Result<(), Fault>> {
    let Some(header) = bytes.get(..28) else {
        return Err(Err(Fault::Disconnected));
    };
    if number(&header[..4]) != 0x2560_9513 {
        return Err(Err(Fault::Protocol("")));
    }
    let request = Request {
        flags: number(&header[4..6]) as u16,
        command: number(&header[6..8]) as u16,
        cookie: number(&header[8..16]),
        offset: number(&header[16..24]),
        length: number(&header[24..]) as u32,
    };
    let payload = if request.command == 1 {
        request.length as usize
    } else {
        0
    };
    match request.command {
        2 => Err(Ok(())),
        _ if payload > 32 << 20 => Err(Err(Fault::Protocol(""))),
        _ if payload > bytes.len() - 28 => Err(Err(Fault::Disconnected)),
        _ => Ok((request, 28..28 + payload)),
    }
}

/// The error of a request, and the data if it is a read that is done; changes the model.
fn expected(
    request: &Request,
    structured: bool,
    fixed: bool,
    payload: &[u8],
    model: &mut [u8],
) -> (u64, Option<Vec<u8>>) {
    let Request {
        flags,
        command,
        offset,
        length,
        ..
    } = *request;
    let allowed = match command {
        0 if structured => 4,
        6 => 2,
        _ => 0,
    } | u16::from(!fixed);
    let changes = matches!(command, 1 | 4 | 6);
    let end = u128::from(offset) + u128::from(length);
    let inside = end <= SIZE as u128;
    let aligned = offset % 512 == 0 && length % 512 == 0;
    let error = match command {
        1 | 4 | 6 if fixed => 1,
        _ if !matches!(command, 0 | 1 | 3 | 4 | 6) || flags & !allowed != 0 => 22,
        3 if fixed || offset != 0 || length != 0 => 22,
        _ if !aligned => 22,
        1 | 6 if !inside => 28,
        _ if !inside => 22,
        0 if flags & 4 != 0 && length > 256 << 10 => 75,
        _ => 0,
    };
    if error != 0 {
        return (error, None);
    }
    let bytes = &mut model[offset as usize..end as usize];
    match command {
        0 => return (0, Some(bytes.to_vec())),
        1 => bytes.copy_from_slice(payload),
        _ if changes => bytes.fill(0),
        _ => {}
    }
    (0, None)
}

/// The one reply there is: cookie, error, data.
fn reply(bytes: &[u8], structured: bool, length: usize) -> (u64, u64, Vec<u8>) {
    if bytes.starts_with(&[0x67, 0x44, 0x66, 0x98]) {
        let error = number(&bytes[4..8]);
        let data = bytes[16..].to_vec();
        assert!(data.len() == if error == 0 && !structured { length } else { 0 });
        return (number(&bytes[8..16]), error, data);
    }
    assert!(structured);
    let (mut rest, mut error, mut data, mut done) = (bytes, 0, Vec::new(), false);
    let cookie = number(&bytes[8..16]);
    while !rest.is_empty() {
        assert!(!done && number(&rest[8..16]) == cookie, "one reply");
        done = number(&rest[4..6]) == 1;
        let kind = number(&rest[6..8]);
        let payload = &rest[20..20 + number(&rest[16..20]) as usize];
        match kind {
            0 => assert!(done && payload.is_empty()),
            // Nothing else is under way, so chunks come in order.
            1 => data.extend(&payload[8..]),
            _ => {
                assert_eq!(
                    (kind, payload.len()),
                    (0x8001, 6 + number(&payload[4..6]) as usize)
                );
                error = number(&payload[..4]);
            }
        }
        rest = &rest[20 + payload.len()..];
    }
    assert!(done, "the end of a reply");
    (cookie, error, data)
}

/// The cookies of all replies that ended.
fn cookies(mut bytes: &[u8]) -> Vec<u64> {
    // The handshake's answers have been taken.
    let mut cookies = Vec::new();
    while !bytes.is_empty() {
        let simple = bytes.starts_with(&[0x67, 0x44, 0x66, 0x98]);
        if simple || number(&bytes[4..6]) == 1 {
            cookies.push(number(&bytes[8..16]));
        }
        let length = if simple {
            16
        } else {
            20 + number(&bytes[16..20]) as usize
        };
        bytes = &bytes[length..];
    }
    cookies
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte))
}
