//! What the backend answers (`struct blkif_response`): id u64 at 0, operation u8 at 8, status i16
//! at 10.

use super::RESPONSE_SIZE;

/// A response, as the backend wrote it: not a word of it is to be believed before it is compared
/// with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request's id.
    pub id: u64,
    /// The request's operation.
    pub operation: u8,
    /// One of `RSP_*`.
    pub status: i16,
}

impl Response {
    /// Takes a response apart.
    #[must_use]
    pub fn decode(bytes: &[u8; RESPONSE_SIZE]) -> Self {
        let [i0, i1, i2, i3, i4, i5, i6, i7, operation, _, s0, s1, ..] = *bytes;
        Self {
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
            operation,
            status: i16::from_le_bytes([s0, s1]),
        }
    }

    /// The response's bytes; padding is zero, so that nothing of the backend's memory leaks.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> [u8; RESPONSE_SIZE] {
        let mut bytes = [0; RESPONSE_SIZE];
        bytes[0..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8] = self.operation;
        bytes[10..12].copy_from_slice(&self.status.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OP_WRITE, RSP_EOPNOTSUPP};
    use super::*;

    #[test]
    fn a_response_survives_encoding() {
        let response = Response {
            id: u64::MAX - 1,
            operation: OP_WRITE,
            status: RSP_EOPNOTSUPP,
        };
        assert_eq!(Response::decode(&response.encode()), response);
    }

    #[test]
    fn padding_is_zero() {
        let bytes = Response {
            id: u64::MAX,
            operation: 0xff,
            status: -1,
        }
        .encode();
        assert_eq!((bytes[9], &bytes[12..]), (0, &[0; 4][..]));
    }
}
