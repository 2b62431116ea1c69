use crate::error::ProtocolError;
use crate::wire::{Assembler, Message, directory_part, strings, watch_event};

fn message(length: usize) -> Message {
    Message {
        kind: 2,
        request: 7,
        transaction: 9,
        payload: vec![b'x'; length],
    }
}

#[test]
fn a_message_arrives_whole_however_it_is_cut() {
    let sent = [message(0), message(1), message(4096)];
    let bytes: Vec<u8> = sent.iter().flat_map(Message::encode).collect();
    for size in [1, 2, 15, 16, 17, 1023, 4112, bytes.len()] {
        let mut assembler = Assembler::new();
        let mut received = Vec::new();
        for mut chunk in bytes.chunks(size) {
            while let Some(message) = assembler.next(&mut chunk).unwrap() {
                received.push(message);
            }
            assert!(chunk.is_empty());
        }
        assert_eq!(received, sent, "{size}");
    }
}

#[test]
fn f24_a_length_beyond_4096_is_refused_at_the_header() {
    for length in [4097, 65536, 0x8000_0000, u32::MAX] {
        let mut bytes = message(0).encode();
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let error = Assembler::new().next(&mut bytes.as_slice()).unwrap_err();
        assert_eq!(error, ProtocolError::TooLong { length });
    }
}

#[test]
fn f24_a_watch_event_needs_two_whole_strings() {
    assert_eq!(watch_event(b"path\x0017\0"), Ok((&b"path"[..], &b"17"[..])));
    assert_eq!(watch_event(b"\0\0"), Ok((&b""[..], &b""[..])));
    assert_eq!(
        watch_event(b"path\x0017\x00more\0"),
        Ok((&b"path"[..], &b"17"[..]))
    );
    for bad in [
        &b""[..],
        b"\0",
        b"path",
        b"path\0",
        b"path\x0017",
        b"path\x0017\0x",
    ] {
        assert_eq!(watch_event(bad), Err(ProtocolError::WatchEvent), "{bad:?}");
    }
}

#[test]
fn strings_end_with_a_nul() {
    assert_eq!(strings(b""), Some(vec![]));
    assert_eq!(strings(b"\0"), Some(vec![&b""[..]]));
    assert_eq!(strings(b"a\0bc\0"), Some(vec![&b"a"[..], b"bc"]));
    assert_eq!(strings(b"a\0b"), None);
}

#[test]
fn parts_of_a_directory_know_the_last() {
    let part = directory_part(b"12\0ab\0c\0").unwrap();
    assert_eq!(
        (part.generation, part.length, part.last),
        (&b"12"[..], 5, false)
    );
    let part = directory_part(b"12\0ab\0c\0\0").unwrap();
    assert_eq!(
        (part.names, part.length, part.last),
        (vec![&b"ab"[..], b"c"], 5, true)
    );
    let part = directory_part(b"12\0\0").unwrap();
    assert_eq!((part.names, part.length, part.last), (vec![], 0, true));
    for bad in [&b""[..], b"12", b"12\0\0\0", b"12\0\0a\0"] {
        assert_eq!(directory_part(bad), None, "{bad:?}");
    }
    assert!(!directory_part(b"12\0").unwrap().last);
}
