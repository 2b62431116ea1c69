//! Xenstore's messages as bytes (xs_wire.h, docs/misc/xenstore.txt).
//!
//! Nothing here panics, whatever the bytes.

use alloc::vec::Vec;

use xen_abi::io::xs_wire::{HEADER_SIZE, Header, PAYLOAD_MAX};

use crate::error::ProtocolError;

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is, one of [`kind`](xen_abi::io::xs_wire::kind).
    pub kind: u32,
    /// The request it belongs to; 0 for a watch event.
    pub request: u32,
    /// The transaction it belongs to; 0 for none.
    pub transaction: u32,
    /// What follows the header, at most [`PAYLOAD_MAX`] bytes.
    pub payload: Vec<u8>,
}

impl Message {
    /// The message as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let (kind, req_id, tx_id) = (self.kind, self.request, self.transaction);
        let mut bytes = Vec::with_capacity(HEADER_SIZE + self.payload.len());
        bytes.extend_from_slice(
            &Header {
                kind,
                req_id,
                tx_id,
                len,
            }
            .encode(),
        );
        bytes.extend_from_slice(&self.payload);
        bytes
    }
}

/// Puts messages together from bytes that arrive in pieces. It never holds more than one message.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
}

impl Assembler {
    /// No bytes yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Forgets an unfinished message.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Takes bytes from the front of `input` up to the end of a message, and returns that message;
    /// `None` once `input` is empty.
    ///
    /// # Errors
    /// [`ProtocolError::TooLong`] when a header announces more than [`PAYLOAD_MAX`] bytes: where
    /// the next message starts is unknown then, so the connection cannot go on.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ProtocolError> {
        self.fill(input, HEADER_SIZE);
        let Some(header) = self.bytes.first_chunk().map(Header::decode) else {
            return Ok(None);
        };
        let length = header.len as usize;
        if length > PAYLOAD_MAX {
            return Err(ProtocolError::TooLong { length: header.len });
        }
        self.fill(input, HEADER_SIZE + length);
        if self.bytes.len() < HEADER_SIZE + length {
            return Ok(None);
        }
        let payload = self.bytes.split_off(HEADER_SIZE);
        self.bytes.clear();
        let Header {
            kind,
            req_id,
            tx_id,
            ..
        } = header;
        Ok(Some(Message {
            kind,
            request: req_id,
            transaction: tx_id,
            payload,
        }))
    }

    /// Moves bytes from `input` until `wanted` are there, or none is left.
    fn fill(&mut self, input: &mut &[u8], wanted: usize) {
        let missing = wanted.saturating_sub(self.bytes.len());
        let (head, rest) = input.split_at(missing.min(input.len()));
        self.bytes.extend_from_slice(head);
        *input = rest;
    }
}

/// The strings of a payload in which each ends with a NUL; `None` if the last one has none.
#[must_use]
pub fn strings(payload: &[u8]) -> Option<Vec<&[u8]>> {
    match payload.split_last() {
        None => Some(Vec::new()),
        Some((0, rest)) => Some(rest.split(|byte| *byte == 0).collect()),
        Some(_) => None,
    }
}

/// A watch event's path and token.
///
/// # Errors
/// [`ProtocolError::WatchEvent`] unless the payload is at least two strings that end with a NUL.
pub fn watch_event(payload: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    match strings(payload).as_deref() {
        Some([path, token, ..]) => Ok((path, token)),
        _ => Err(ProtocolError::WatchEvent),
    }
}

/// One answer to `DIRECTORY_PART`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Changes when the list of children does: parts of different generations do not fit together.
    pub generation: &'a [u8],
    /// The children's names.
    pub names: Vec<&'a [u8]>,
    /// Bytes of the whole list that this part covers.
    pub length: usize,
    /// Whether this is the last part.
    pub last: bool,
}

/// Takes an answer to `DIRECTORY_PART` apart; `None` if it is none.
#[must_use]
pub fn directory_part(payload: &[u8]) -> Option<Part<'_>> {
    let mut strings = strings(payload)?;
    if strings.is_empty() {
        return None;
    }
    let generation = strings.remove(0);
    // An empty name ends the whole list.
    let last = strings.last().is_some_and(|name| name.is_empty());
    if last {
        strings.pop();
    }
    if strings.iter().any(|name| name.is_empty()) {
        return None;
    }
    let length = strings.iter().map(|name| name.len() + 1).sum();
    Some(Part {
        generation,
        names: strings,
        length,
        last,
    })
}
