//! Where a command's data is: PRP entries or a scatter-gather list, followed as the specification
//! has it.

use hv::{DomId, PAGE_SIZE};

use super::wire::Command;
use crate::Xen;

const PAGE: u64 = PAGE_SIZE as u64;
/// Data pointers that say what cannot be.
const INVALID_FIELD: u16 = 0x2;

/// The pieces of a command's data: address and length, each in one page.
pub(super) fn pieces(
    xen: &Xen,
    dom: DomId,
    command: &Command,
    length: usize,
) -> Result<Vec<(u64, usize)>, u16> {
    let pieces = if command.is_sgl() {
        scattered(xen, dom, command.data(), length)
    } else {
        listed(xen, dom, command.data(), length)
    };
    pieces.ok_or(INVALID_FIELD)
}

fn listed(xen: &Xen, dom: DomId, [one, two]: [u64; 2], length: usize) -> Option<Vec<(u64, usize)>> {
    let first = length.min((PAGE - one % PAGE) as usize);
    let mut pieces = vec![(one, first)];
    let rest = length - first;
    if rest == 0 {
        return Some(pieces);
    }
    if rest <= PAGE_SIZE {
        pieces.push((two, rest));
        return two.is_multiple_of(PAGE).then_some(pieces);
    }
    for (index, at) in (0..rest).step_by(PAGE_SIZE).enumerate() {
        let place = two + index as u64 * 8;
        // A list that crosses a page goes on elsewhere; none that is needed here does.
        if place / PAGE != two / PAGE {
            return None;
        }
        let mut entry = [0; 8];
        xen.dma_read(dom, place, &mut entry).ok()?;
        let address = u64::from_le_bytes(entry);
        if !address.is_multiple_of(PAGE) {
            return None;
        }
        pieces.push((address, PAGE_SIZE.min(rest - at)));
    }
    Some(pieces)
}

fn scattered(xen: &Xen, dom: DomId, data: [u64; 2], length: usize) -> Option<Vec<(u64, usize)>> {
    let descriptor = |low: u64, high: u64| (low, high as u32 as usize, (high >> 56) as u8);
    let (address, bytes, kind) = descriptor(data[0], data[1]);
    let mut blocks = Vec::new();
    match kind {
        0x00 => blocks.push((address, bytes)),
        0x30 => {
            for at in (0..bytes as u64).step_by(16) {
                let mut entry = [0; 16];
                xen.dma_read(dom, address + at, &mut entry).ok()?;
                let value = u128::from_le_bytes(entry);
                let (address, bytes, kind) = descriptor(value as u64, (value >> 64) as u64);
                if kind != 0 {
                    return None;
                }
                blocks.push((address, bytes));
            }
        }
        _ => return None,
    }
    if blocks.iter().map(|(_, bytes)| bytes).sum::<usize>() != length {
        return None;
    }
    let mut pieces = Vec::new();
    for (mut address, mut bytes) in blocks {
        while bytes != 0 {
            let part = bytes.min((PAGE - address % PAGE) as usize);
            pieces.push((address, part));
            address += part as u64;
            bytes -= part;
        }
    }
    Some(pieces)
}

/// Writes `bytes` to a command's memory.
pub(super) fn write(xen: &Xen, dom: DomId, command: &Command, bytes: &[u8]) -> Result<(), u16> {
    let mut at = 0;
    for (address, length) in pieces(xen, dom, command, bytes.len())? {
        let part = &bytes[at..at + length];
        xen.dma_write(dom, address, part).map_err(|_| 0x4u16)?;
        at += length;
    }
    Ok(())
}

/// Reads `length` bytes from a command's memory.
pub(super) fn read(
    xen: &Xen,
    dom: DomId,
    command: &Command,
    length: usize,
) -> Result<Vec<u8>, u16> {
    let mut bytes = vec![0; length];
    let mut at = 0;
    for (address, length) in pieces(xen, dom, command, length)? {
        let part = &mut bytes[at..at + length];
        xen.dma_read(dom, address, part).map_err(|_| 0x4u16)?;
        at += length;
    }
    Ok(bytes)
}
