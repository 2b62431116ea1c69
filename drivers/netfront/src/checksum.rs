//! The Internet checksum (RFC 1071).

/// The sum of `bytes` as 16-bit words, added to `sum`: not folded yet.
pub(crate) fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total = 0;
    for word in words {
        total += u64::from(u32::from_le_bytes(*word));
    }
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    total += u64::from(u32::from_le_bytes(last));
    sum + u64::from(fold(total))
}

/// A sum as 16 bits, in the order that they have in a packet when written by `to_le_bytes`.
pub(crate) fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // It is no larger, so nothing is lost.
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RFC 1071 says it, word by word.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    #[test]
    fn it_is_that_of_the_rfc() {
        let bytes: Vec<u8> = (0..4099u32)
            .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
            .collect();
        for length in [0, 1, 2, 3, 4, 5, 6, 7, 8, 1499, 1500, 4099] {
            let bytes = &bytes[..length];
            assert_eq!(fold(add(0, bytes)).swap_bytes(), slow(bytes), "{length}");
        }
        assert_eq!(fold(add(0, &[0xff; 65536])), 0xffff);
    }
}
