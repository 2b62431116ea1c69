//! Messages as they lie in the ring (io/xs_wire.h), and the names of errors.

use ring::{ByteRing, StreamLayout};

/// Bytes of a message's header: type, request, transaction and length, 32 bits each.
pub const HEADER: usize = 16;
/// The longest payload (`XENSTORE_PAYLOAD_MAX`).
pub const PAYLOAD_MAX: usize = 4096;
/// The longest absolute path (`XENSTORE_ABS_PATH_MAX`).
pub const ABSOLUTE_PATH_MAX: usize = 3072;
/// The longest relative path (`XENSTORE_REL_PATH_MAX`).
pub const RELATIVE_PATH_MAX: usize = 2048;

/// The ring page as the daemon sees it (`struct xenstore_domain_interface`).
pub(crate) const LAYOUT: StreamLayout = StreamLayout {
    incoming: ByteRing {
        buffer: 0,
        length: 1024,
        cons: 2048,
        cons_name: "req_cons",
        prod: 2052,
        prod_name: "req_prod",
    },
    outgoing: ByteRing {
        buffer: 1024,
        length: 1024,
        cons: 2056,
        cons_name: "rsp_cons",
        prod: 2060,
        prod_name: "rsp_prod",
    },
};

/// Message types (`enum xsd_sockmsg_type`).
pub mod kind {
    #![expect(missing_docs, reason = "the names are xs_wire.h's own")]
    pub const DIRECTORY: u32 = 1;
    pub const READ: u32 = 2;
    pub const GET_PERMS: u32 = 3;
    pub const WATCH: u32 = 4;
    pub const UNWATCH: u32 = 5;
    pub const TRANSACTION_START: u32 = 6;
    pub const TRANSACTION_END: u32 = 7;
    pub const GET_DOMAIN_PATH: u32 = 10;
    pub const WRITE: u32 = 11;
    pub const MKDIR: u32 = 12;
    pub const RM: u32 = 13;
    pub const SET_PERMS: u32 = 14;
    pub const WATCH_EVENT: u32 = 15;
    pub const ERROR: u32 = 16;
    pub const IS_DOMAIN_INTRODUCED: u32 = 17;
    pub const RESET_WATCHES: u32 = 21;
    pub const DIRECTORY_PART: u32 = 22;
}

/// A refusal, by the name it has on the wire (`xsd_errors`).
pub type Refusal = &'static str;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is, one of [`kind`].
    pub kind: u32,
    /// The asker's number for it; 0 for a watch event.
    pub request: u32,
    /// The transaction it belongs to, or 0.
    pub transaction: u32,
    /// The rest.
    pub payload: Vec<u8>,
}

impl Message {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("payloads are short");
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len());
        for word in [self.kind, self.request, self.transaction, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// Takes the first whole message off `bytes`; `None` until it is whole.
    ///
    /// # Errors
    /// When it claims a payload longer than [`PAYLOAD_MAX`]: the connection is of no more use.
    pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Self>, Refusal> {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(word.try_into().ok()?))
        };
        let (Some(kind), Some(request), Some(transaction), Some(length)) =
            (word(0), word(4), word(8), word(12))
        else {
            return Ok(None);
        };
        let length = length as usize;
        if length > PAYLOAD_MAX {
            return Err("E2BIG");
        }
        if bytes.len() < HEADER + length {
            return Ok(None);
        }
        let payload = bytes[HEADER..HEADER + length].to_vec();
        bytes.drain(..HEADER + length);
        Ok(Some(Self {
            kind,
            request,
            transaction,
            payload,
        }))
    }
}

/// Splits a payload into `N` strings, each ended by a NUL; what follows the last is the rest.
pub(crate) fn strings<const N: usize>(payload: &[u8]) -> Result<([&str; N], &[u8]), Refusal> {
    let mut found = [""; N];
    let mut rest = payload;
    for slot in &mut found {
        let end = rest.iter().position(|byte| *byte == 0).ok_or("EINVAL")?;
        *slot = std::str::from_utf8(&rest[..end]).map_err(|_| "EINVAL")?;
        rest = &rest[end + 1..];
    }
    Ok((found, rest))
}
