//! Checksums of IPv4, TCP, UDP and ICMP, as Linux finds the fields (`skb_checksum_setup`).

use std::ops::Range;

const ETHERNET: usize = 14;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Where a packet's transport header is.
#[derive(Clone, Debug)]
pub struct Transport {
    /// IPv6, not IPv4.
    pub is_v6: bool,
    /// Its protocol.
    pub protocol: u8,
    /// Where it starts.
    pub at: usize,
    /// Where the packet ends: there may be padding behind.
    pub end: usize,
    /// Where both addresses are.
    pub addresses: Range<usize>,
}

impl Transport {
    /// Where the checksum is.
    fn field(&self) -> Result<usize, String> {
        let (offset, least) = match self.protocol {
            TCP => (16, 20),
            UDP => (6, 8),
            ICMP if !self.is_v6 => (2, 8),
            ICMPV6 if self.is_v6 => (2, 8),
            other => return Err(format!("protocol {other} has no checksum that is known")),
        };
        if self.at + least > self.end {
            return Err("the transport header is cut off".into());
        }
        Ok(self.at + offset)
    }

    /// The sum of the pseudo header.
    fn pseudo(&self, bytes: &[u8]) -> u32 {
        if self.protocol == ICMP {
            return 0;
        }
        let length = u32::try_from(self.end - self.at).expect("packets are short");
        let addresses = sum(&bytes[self.addresses.clone()]);
        addresses + (length >> 16) + (length & 0xffff) + u32::from(self.protocol)
    }
}

/// The ones' complement sum of big-endian words.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    words.fold(0, |sum, word| fold(sum + word))
}

fn fold(sum: u32) -> u32 {
    let once = (sum & 0xffff) + (sum >> 16);
    (once & 0xffff) + (once >> 16)
}

fn word(bytes: &[u8], at: usize) -> Result<u16, String> {
    let cut = || format!("{} bytes are too few", bytes.len());
    let word = bytes.get(at..at + 2).ok_or_else(cut)?;
    Ok(u16::from_be_bytes([word[0], word[1]]))
}

fn put(bytes: &mut [u8], at: usize, sum: u32) {
    let value = u16::try_from(fold(sum)).expect("folded");
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Finds the transport header of a frame.
///
/// # Errors
/// Why there is none.
pub fn transport(bytes: &[u8]) -> Result<Transport, String> {
    let (is_v6, at, length, protocol, addresses) = match word(bytes, 12)? {
        0x0800 => {
            let length = usize::from(word(bytes, ETHERNET + 2)?);
            word(bytes, ETHERNET + 18)?;
            let header = usize::from(bytes[ETHERNET] & 15) * 4;
            if bytes[ETHERNET] >> 4 != 4 || header < 20 || length < header {
                return Err("no IPv4 header".into());
            }
            if word(bytes, ETHERNET + 6)? & 0x3fff != 0 {
                return Err("a fragment".into());
            }
            let addresses = ETHERNET + 12..ETHERNET + 20;
            (false, header, length, bytes[ETHERNET + 9], addresses)
        }
        0x86dd => {
            let length = usize::from(word(bytes, ETHERNET + 4)?) + 40;
            word(bytes, ETHERNET + 38)?;
            let addresses = ETHERNET + 8..ETHERNET + 40;
            (true, 40, length, bytes[ETHERNET + 6], addresses)
        }
        other => return Err(format!("no IP: type {other:#06x}")),
    };
    let end = ETHERNET + length;
    if end > bytes.len() {
        return Err("the packet is cut off".into());
    }
    Ok(Transport {
        is_v6,
        protocol,
        at: ETHERNET + at,
        end,
        addresses,
    })
}

/// Makes the checksum of which the frame holds the pseudo header's sum.
///
/// # Errors
/// Why there is none to be made, also if what the frame holds is another sum.
pub fn complete(bytes: &mut [u8]) -> Result<(), String> {
    let place = blank_at(bytes)?;
    let field = place.field()?;
    let total = sum(&bytes[place.at..place.end]);
    let made = !fold(total) & 0xffff;
    put(bytes, field, if made == 0 { 0xffff } else { made });
    Ok(())
}

/// Where the checksum is that is to be made.
///
/// # Errors
/// Why there is none to be made, also if what the frame holds is not the pseudo header's sum.
pub fn blank_at(bytes: &[u8]) -> Result<Transport, String> {
    let place = transport(bytes)?;
    if ![TCP, UDP].contains(&place.protocol) {
        let protocol = place.protocol;
        return Err(format!("a blank checksum of protocol {protocol}"));
    }
    let (found, pseudo) = (word(bytes, place.field()?)?, fold(place.pseudo(bytes)));
    if u32::from(found) != pseudo {
        return Err(format!(
            "the blank checksum is {found:#06x} where the pseudo header's sum is {pseudo:#06x}"
        ));
    }
    Ok(place)
}

/// Puts the pseudo header's sum where the checksum is: the frame is blank after it.
///
/// # Errors
/// Why it cannot be.
pub fn make_blank(bytes: &mut [u8]) -> Result<(), String> {
    let place = transport(bytes)?;
    let field = place.field()?;
    put(bytes, field, place.pseudo(bytes));
    Ok(())
}

/// Makes the checksums of a frame, whatever stands there.
///
/// # Errors
/// Why it cannot.
pub fn make(bytes: &mut [u8]) -> Result<(), String> {
    make_blank(bytes)?;
    let place = transport(bytes)?;
    if !place.is_v6 {
        make_header(bytes);
    }
    let field = place.field()?;
    let made = !fold(sum(&bytes[place.at..place.end])) & 0xffff;
    put(bytes, field, if made == 0 { 0xffff } else { made });
    Ok(())
}

/// Makes the checksum of an IPv4 header.
fn make_header(bytes: &mut [u8]) {
    let header = usize::from(bytes[ETHERNET] & 15) * 4;
    bytes[ETHERNET + 10..ETHERNET + 12].fill(0);
    let made = !fold(sum(&bytes[ETHERNET..ETHERNET + header])) & 0xffff;
    put(bytes, ETHERNET + 10, made);
}

/// Checks the checksum of an IPv4 header. What is no IPv4 is right.
///
/// # Errors
/// That it is wrong.
pub fn check_header(bytes: &[u8]) -> Result<(), String> {
    if word(bytes, 12)? != 0x0800 {
        return Ok(());
    }
    let header = usize::from(bytes.get(ETHERNET).unwrap_or(&0) & 15) * 4;
    let Some(header) = bytes.get(ETHERNET..ETHERNET + header) else {
        return Err("the IPv4 header is cut off".into());
    };
    match fold(sum(header)) {
        0xffff => Ok(()),
        _ => Err("the IPv4 header's checksum is wrong".into()),
    }
}

/// Checks all checksums of a frame that are known. One that is not used, which UDP over IPv4 may
/// do, is right.
///
/// # Errors
/// Which of them is wrong.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    check_header(bytes)?;
    let Ok(place) = transport(bytes) else {
        return Ok(());
    };
    let Ok(field) = place.field() else {
        return Ok(());
    };
    if place.protocol == UDP && !place.is_v6 && word(bytes, field)? == 0 {
        return Ok(());
    }
    match fold(sum(&bytes[place.at..place.end]) + place.pseudo(bytes)) {
        0xffff => Ok(()),
        _ => Err(format!(
            "the checksum of protocol {} is wrong",
            place.protocol
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes from 10.0.0.1:7 to 10.0.0.2:9, without checksums.
    fn udp() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0, 0, 31, 0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 7, 0, 9, 0, 11, 0, 0, b'a', b'b', b'c']);
        frame
    }

    #[test]
    fn what_is_made_is_right_and_one_bit_makes_it_wrong() {
        let mut frame = udp();
        make(&mut frame).unwrap();
        // By hand: 4500+001f+0001+4011+0a00+0001+0a00+0002 = 0x9934.
        assert_eq!(frame[24..26], [0x66, 0xcb]);
        check(&frame).unwrap();
        for at in [26, 34, 42, 44] {
            frame[at] ^= 1;
            check(&frame).unwrap_err();
            frame[at] ^= 1;
        }
    }

    #[test]
    fn a_blank_one_is_completed() {
        let mut whole = udp();
        make(&mut whole).unwrap();
        let mut blank = whole.clone();
        make_blank(&mut blank).unwrap();
        assert_ne!(whole, blank);
        complete(&mut blank).unwrap();
        assert_eq!(whole, blank);
        complete(&mut blank).unwrap_err();
    }
}
