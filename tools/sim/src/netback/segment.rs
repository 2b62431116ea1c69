//! Cuts a large TCP packet into those that a wire carries, as Linux does (`tcp_gso_segment`).

use super::checksum;

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// The frames with up to `size` bytes of data each, with their checksums.
///
/// # Errors
/// Why the frame cannot be cut.
pub fn cut(bytes: &[u8], size: usize) -> Result<Vec<Vec<u8>>, String> {
    let place = checksum::transport(bytes)?;
    if place.protocol != 6 || size == 0 {
        return Err("no TCP to be cut".into());
    }
    let at = place.at;
    let header = bytes
        .get(at + 12)
        .map_or(0, |byte| usize::from(byte >> 4) * 4);
    let start = at + header;
    if header < 20 || start > place.end {
        return Err("no TCP header".into());
    }
    let sequence = u32::from_be_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
    let pieces: Vec<_> = bytes[start..place.end].chunks(size).collect();
    let mut frames = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut frame = bytes[..start].to_vec();
        frame.extend(*piece);
        let number = u32::try_from(index * size).expect("packets are short");
        frame[at + 4..at + 8].copy_from_slice(&sequence.wrapping_add(number).to_be_bytes());
        if index + 1 != pieces.len() {
            frame[at + 13] &= !FIN_PSH;
        }
        if index != 0 {
            frame[at + 13] &= !CWR;
        }
        let length = frame.len() - 14;
        if place.is_v6 {
            let length = u16::try_from(length - 40).map_err(|_| "too long")?;
            frame[18..20].copy_from_slice(&length.to_be_bytes());
        } else {
            let length = u16::try_from(length).map_err(|_| "too long")?;
            frame[16..18].copy_from_slice(&length.to_be_bytes());
            let id = u16::from_be_bytes([frame[18], frame[19]]);
            let id = id.wrapping_add(u16::try_from(index).expect("packets are short"));
            frame[18..20].copy_from_slice(&id.to_be_bytes());
        }
        checksum::make(&mut frame)?;
        frames.push(frame);
    }
    Ok(frames)
}
