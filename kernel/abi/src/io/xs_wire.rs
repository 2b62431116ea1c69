//! `io/xs_wire.h`: xenstore's page and messages.

/// Bytes from this domain to xenstored.
pub const REQ: usize = 0;
/// Bytes from xenstored to this domain.
pub const RSP: usize = 1024;
/// Bytes in either ring (`XENSTORE_RING_SIZE`).
pub const RING_SIZE: usize = 1024;
/// u32: bytes xenstored has taken.
pub const REQ_CONS: usize = 2048;
/// u32: bytes this domain has put.
pub const REQ_PROD: usize = 2052;
/// u32: bytes this domain has taken.
pub const RSP_CONS: usize = 2056;
/// u32: bytes xenstored has put.
pub const RSP_PROD: usize = 2060;
/// u32: `FEATURE_*`.
pub const SERVER_FEATURES: usize = 2064;
/// u32: [`CONNECTED`] or [`RECONNECT`].
pub const CONNECTION: usize = 2068;
/// u32: why xenstored gave up; 0 none, 1 communication, 2 ring index, 3 protocol.
pub const ERROR: usize = 2072;

/// `SERVER_FEATURES`: a domain may ask for a fresh connection.
pub const FEATURE_RECONNECTION: u32 = 1;
/// `SERVER_FEATURES`: [`ERROR`] is used.
pub const FEATURE_ERROR: u32 = 2;

/// `CONNECTION`: as usual.
pub const CONNECTED: u32 = 0;
/// `CONNECTION`: being set up anew; set by the domain, cleared by xenstored.
pub const RECONNECT: u32 = 1;

/// Bytes of payload in one message at most; a longer one ends the connection.
pub const PAYLOAD_MAX: usize = 4096;
/// Bytes of an absolute path at most.
pub const ABS_PATH_MAX: usize = 3072;
/// Bytes of a path relative to the domain's home at most.
pub const REL_PATH_MAX: usize = 2048;

/// The names that xenstored's error replies carry.
pub const ERRORS: [&str; 16] = [
    "EINVAL",
    "EACCES",
    "EEXIST",
    "EISDIR",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "EIO",
    "ENOTEMPTY",
    "ENOSYS",
    "EROFS",
    "EBUSY",
    "EAGAIN",
    "EISCONN",
    "E2BIG",
    "EPERM",
];

/// `enum xsd_sockmsg_type`: what a message is.
pub mod kind {
    /// List children.
    pub const DIRECTORY: u32 = 1;
    /// Read a node.
    pub const READ: u32 = 2;
    /// Read a node's permissions.
    pub const GET_PERMS: u32 = 3;
    /// Watch a node and all below it.
    pub const WATCH: u32 = 4;
    /// Stop watching.
    pub const UNWATCH: u32 = 5;
    /// Start a transaction.
    pub const TRANSACTION_START: u32 = 6;
    /// End one: payload "T" to commit, "F" to drop it.
    pub const TRANSACTION_END: u32 = 7;
    /// The home of a domain.
    pub const GET_DOMAIN_PATH: u32 = 10;
    /// Write a node.
    pub const WRITE: u32 = 11;
    /// Make an empty node.
    pub const MKDIR: u32 = 12;
    /// Remove a node and all below it.
    pub const RM: u32 = 13;
    /// Set a node's permissions.
    pub const SET_PERMS: u32 = 14;
    /// A watch fired; sent by xenstored with request id 0.
    pub const WATCH_EVENT: u32 = 15;
    /// A request failed; the payload is one of [`ERRORS`](super::ERRORS).
    pub const ERROR: u32 = 16;
    /// Drop all watches and transactions of this domain.
    pub const RESET_WATCHES: u32 = 21;
    /// List children from an offset on, with a generation count.
    pub const DIRECTORY_PART: u32 = 22;
}

/// Bytes of a message's header (`struct xsd_sockmsg`).
pub const HEADER_SIZE: usize = 16;

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u32,
    /// The request's number, echoed in its reply.
    pub req_id: u32,
    /// The transaction, 0 for none.
    pub tx_id: u32,
    /// Bytes of payload that follow.
    pub len: u32,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let fields = [self.kind, self.req_id, self.tx_id, self.len];
        for (slot, field) in bytes.chunks_exact_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }

    /// Takes a header apart. Nothing is checked: `len` is the sender's word.
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER_SIZE]) -> Self {
        let [
            k0,
            k1,
            k2,
            k3,
            r0,
            r1,
            r2,
            r3,
            t0,
            t1,
            t2,
            t3,
            l0,
            l1,
            l2,
            l3,
        ] = *bytes;
        Self {
            kind: u32::from_ne_bytes([k0, k1, k2, k3]),
            req_id: u32::from_ne_bytes([r0, r1, r2, r3]),
            tx_id: u32::from_ne_bytes([t0, t1, t2, t3]),
            len: u32::from_ne_bytes([l0, l1, l2, l3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_encoding() {
        let header = Header {
            kind: kind::READ,
            req_id: 0x0102_0304,
            tx_id: 7,
            len: 4096,
        };
        let bytes = header.encode();
        assert_eq!(bytes[4..8], 0x0102_0304_u32.to_ne_bytes());
        assert_eq!(Header::decode(&bytes), header);
    }
}
