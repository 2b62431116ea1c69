//! I/O commands: what they do to a namespace.

use hv::DomId;

use super::config::{Namespace, NvmeConfig};
use super::data;
use super::device::Counted;
use super::wire::Command;
use crate::Xen;

const INVALID_OPCODE: u16 = 0x1;
const INVALID_NAMESPACE: u16 = 0xb;
const WRITE_PROTECTED: u16 = 0x20;
const OUT_OF_RANGE: u16 = 0x80;
/// To repeat it does not help.
const FINAL: u16 = 1 << 14;

/// Carries out a command of the I/O queue; its status.
pub(super) fn carry_out(
    xen: &Xen,
    dom: DomId,
    config: &NvmeConfig,
    counted: &mut Counted,
    command: &Command,
) -> u16 {
    let mut namespaces = config.namespaces.iter();
    let Some(namespace) = namespaces.find(|one| one.id == command.namespace()) else {
        return INVALID_NAMESPACE | FINAL;
    };
    let done = match command.opcode() {
        0x00 => {
            counted.flushes += 1;
            Ok(())
        }
        _ if namespace.read_only && command.opcode() != 0x02 => Err(WRITE_PROTECTED),
        0x01 => write(xen, dom, namespace, counted, command),
        0x02 => read(xen, dom, namespace, config, counted, command),
        0x08 if config.deallocates => zero(namespace, counted, command.first(), command.blocks()),
        0x09 if config.deallocates => deallocate(xen, dom, namespace, counted, command),
        _ => Err(INVALID_OPCODE),
    };
    done.err().map_or(0, |status| status | FINAL)
}

/// The bytes of a range of blocks, if it is on the media.
fn range(namespace: &Namespace, first: u64, blocks: u64) -> Result<(u64, usize), u16> {
    match first.checked_add(blocks) {
        Some(end) if end <= namespace.blocks => {
            let length = usize::try_from(blocks << namespace.shift).expect("test disks are small");
            Ok((first << namespace.shift, length))
        }
        _ => Err(OUT_OF_RANGE),
    }
}

fn write(
    xen: &Xen,
    dom: DomId,
    namespace: &Namespace,
    counted: &mut Counted,
    command: &Command,
) -> Result<(), u16> {
    let (offset, length) = range(namespace, command.first(), command.blocks())?;
    let bytes = data::read(xen, dom, command, length)?;
    namespace.disk.write(offset, &bytes);
    counted.writes += 1;
    counted.lists += u64::from(command.is_sgl());
    Ok(())
}

fn read(
    xen: &Xen,
    dom: DomId,
    namespace: &Namespace,
    config: &NvmeConfig,
    counted: &mut Counted,
    command: &Command,
) -> Result<(), u16> {
    let (offset, length) = range(namespace, command.first(), command.blocks())?;
    if config.largest != 0 && length > 4096 << config.largest {
        return Err(0x2);
    }
    data::write(xen, dom, command, &namespace.disk.bytes(offset, length))?;
    counted.reads += 1;
    counted.largest = counted.largest.max(length);
    counted.lists += u64::from(command.is_sgl());
    Ok(())
}

fn zero(namespace: &Namespace, counted: &mut Counted, first: u64, blocks: u64) -> Result<(), u16> {
    let (offset, length) = range(namespace, first, blocks)?;
    namespace.disk.write(offset, &vec![0; length]);
    counted.zeroed += blocks;
    Ok(())
}

fn deallocate(
    xen: &Xen,
    dom: DomId,
    namespace: &Namespace,
    counted: &mut Counted,
    command: &Command,
) -> Result<(), u16> {
    let ranges = (command.dword(10) & 0xff) as usize + 1;
    if command.dword(11) & 4 == 0 {
        return Ok(());
    }
    let bytes = data::read(xen, dom, command, ranges * 16)?;
    for entry in bytes.chunks_exact(16) {
        let value = u128::from_le_bytes(entry.try_into().expect("16 bytes"));
        let (blocks, first) = (u64::from((value >> 32) as u32), (value >> 64) as u64);
        let (offset, length) = range(namespace, first, blocks)?;
        namespace.disk.write(offset, &vec![0; length]);
        counted.deallocated += blocks;
    }
    Ok(())
}
