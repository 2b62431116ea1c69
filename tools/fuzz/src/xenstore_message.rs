//! Harness for xenstore messages and their payloads.
//!
//! Oracle:
//!
//! * the messages are those that a plain reading of the whole input finds, however it is cut into
//!   pieces on its way; encoded again they are the input, up to an unfinished message; a header
//!   that announces too much ends it there, and not before;
//! * a payload taken apart (strings, watch event, directory part) and put together again is the
//!   same payload; what is refused could not be put together.

use crate::random::Random;
use xenbus::ProtocolError;
use xenbus::wire::{Assembler, Message, directory_part, strings, watch_event};

/// `XENSTORE_PAYLOAD_MAX` in xs_wire.h.
const PAYLOAD_MAX: u32 = 4096;

/// Runs one input. Its first byte seeds how the rest is cut into pieces.
///
/// # Panics
/// If the oracle is broken.
pub fn xenstore_message(data: &[u8]) {
    let (seed, bytes) = data
        .split_first()
        .map_or((0, data), |(seed, rest)| (*seed, rest));
    let (expected, used, end) = plain(bytes);
    let whole = assemble([bytes].into_iter());
    assert_eq!(whole, (expected.clone(), end));
    assert_eq!(assemble(pieces(bytes, seed)), (expected.clone(), end));
    let encoded: Vec<u8> = expected.iter().flat_map(Message::encode).collect();
    assert_eq!(encoded, bytes[..used]);
    for message in &expected {
        payload(&message.payload);
    }
    payload(bytes);
}

type End = Result<(), ProtocolError>;

/// The messages, how many bytes they take, and what ends them.
fn plain(bytes: &[u8]) -> (Vec<Message>, usize, End) {
    let mut messages = Vec::new();
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let word = |at: usize| {
            let word = rest.get(4 * at..4 * at + 4)?;
            Some(
                word.iter()
                    .rev()
                    .fold(0u32, |all, byte| all << 8 | u32::from(*byte)),
            )
        };
        let Some(length) = word(3) else {
            return (messages, used, Ok(()));
        };
        if length > PAYLOAD_MAX {
            return (messages, used, Err(ProtocolError::TooLong { length }));
        }
        let end = 16 + length as usize;
        let Some(payload) = rest.get(16..end) else {
            return (messages, used, Ok(()));
        };
        let [kind, request, transaction] = [0, 1, 2].map(|at| word(at).unwrap_or(0));
        messages.push(Message {
            kind,
            request,
            transaction,
            payload: payload.to_vec(),
        });
        used += end;
    }
}

fn assemble<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, End) {
    let mut assembler = Assembler::new();
    let mut messages = Vec::new();
    for mut piece in pieces {
        loop {
            match assembler.next(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(piece.is_empty(), "bytes were left behind");
    }
    (messages, Ok(()))
}

fn pieces(mut bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut random = Random::new(seed.into());
    core::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(1 + random.below(30)));
        bytes = rest;
        Some(piece)
    })
}

fn payload(payload: &[u8]) {
    let terminated = |parts: &[&[u8]]| -> Vec<u8> {
        parts
            .iter()
            .flat_map(|part| [part, &b"\0"[..]].concat())
            .collect()
    };
    let ends = payload.last().is_none_or(|last| *last == 0);
    let parts = strings(payload);
    assert_eq!(parts.is_some(), ends);
    let parts = parts.unwrap_or_default();
    if ends {
        assert_eq!(terminated(&parts), payload);
        assert!(parts.iter().all(|part| !part.contains(&0)));
    }
    match watch_event(payload) {
        Ok((path, token)) => assert!(payload.starts_with(&terminated(&[path, token]))),
        Err(_) => assert!(!ends || payload.iter().filter(|byte| **byte == 0).count() < 2),
    }
    match directory_part(payload) {
        Some(part) => {
            assert!(part.names.iter().all(|name| !name.is_empty()));
            let names = terminated(&part.names);
            assert_eq!(part.length, names.len());
            let close: &[u8] = if part.last { b"\0" } else { b"" };
            assert_eq!(
                [&terminated(&[part.generation])[..], &names, close].concat(),
                payload
            );
        }
        None => {
            let names = parts.get(1..).unwrap_or_default();
            let inner = names.split_last().map_or(names, |(_, inner)| inner);
            let refused = !ends || parts.is_empty() || inner.iter().any(|name| name.is_empty());
            assert!(refused, "{payload:?}");
        }
    }
}
