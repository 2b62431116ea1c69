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

/// A command at work on its namespace.
struct Work<'a> {
    xen: &'a Xen,
    dom: DomId,
    namespace: &'a Namespace,
    counted: &'a mut Counted,
    command: &'a Command,
}

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
    let mut work = Work {
        xen,
        dom,
        namespace,
        counted,
        command,
    };
    let done = match command.opcode() {
        0x00 => {
            work.counted.flushes += 1;
            Ok(())
        }
        _ if namespace.read_only && command.opcode() != 0x02 => Err(WRITE_PROTECTED),
        0x01 => work.write(),
        0x02 => work.read(config.largest),
        0x08 if config.deallocates => {
            let done = work.clear(command.first(), command.blocks());
            done.map(|()| work.counted.zeroed += command.blocks())
        }
        0x09 if config.deallocates => work.deallocate(),
        _ => Err(INVALID_OPCODE),
    };
    done.err().map_or(0, |status| status | FINAL)
}

impl Work<'_> {
    /// The bytes of a range of blocks, if it is on the media.
    fn range(&self, first: u64, blocks: u64) -> Result<(u64, usize), u16> {
        let namespace = self.namespace;
        match first.checked_add(blocks) {
            Some(end) if end <= namespace.blocks => {
                let length = usize::try_from(blocks << namespace.shift);
                let length = length.expect("test disks are small");
                Ok((first << namespace.shift, length))
            }
            _ => Err(OUT_OF_RANGE),
        }
    }

    fn write(&mut self) -> Result<(), u16> {
        let command = self.command;
        let (offset, length) = self.range(command.first(), command.blocks())?;
        let bytes = data::read(self.xen, self.dom, command, length)?;
        self.namespace.disk.write(offset, &bytes);
        self.counted.writes += 1;
        self.counted.lists += u64::from(command.is_sgl());
        Ok(())
    }

    /// `largest` is the largest transfer: two to the power of it, in pages; 0 is no limit.
    fn read(&mut self, largest: u8) -> Result<(), u16> {
        let command = self.command;
        let (offset, length) = self.range(command.first(), command.blocks())?;
        if largest != 0 && length > 4096 << largest {
            return Err(0x2);
        }
        let bytes = self.namespace.disk.bytes(offset, length);
        data::write(self.xen, self.dom, command, &bytes)?;
        self.counted.reads += 1;
        self.counted.largest = self.counted.largest.max(length);
        self.counted.lists += u64::from(command.is_sgl());
        Ok(())
    }

    /// Makes blocks zero.
    fn clear(&self, first: u64, blocks: u64) -> Result<(), u16> {
        let (offset, length) = self.range(first, blocks)?;
        self.namespace.disk.write(offset, &vec![0; length]);
        Ok(())
    }

    fn deallocate(&mut self) -> Result<(), u16> {
        let command = self.command;
        let ranges = (command.dword(10) & 0xff) as usize + 1;
        if command.dword(11) & 4 == 0 {
            return Ok(());
        }
        let bytes = data::read(self.xen, self.dom, command, ranges * 16)?;
        for entry in bytes.chunks_exact(16) {
            let value = u128::from_le_bytes(entry.try_into().expect("16 bytes"));
            let (blocks, first) = (u64::from((value >> 32) as u32), (value >> 64) as u64);
            self.clear(first, blocks)?;
            self.counted.deallocated += blocks;
        }
        Ok(())
    }
}
