//! A command's 64 bytes (NVM Express 1.4, 4.2); pure.

/// Bytes of a submission queue entry.
pub(crate) const COMMAND_SIZE: usize = 64;

/// Admin: creates an I/O submission queue.
pub(crate) const ADMIN_CREATE_SQ: u8 = 0x01;
/// Admin: reads a log page.
pub(crate) const ADMIN_GET_LOG_PAGE: u8 = 0x02;
/// Admin: creates an I/O completion queue.
pub(crate) const ADMIN_CREATE_CQ: u8 = 0x05;
/// Admin: describes the controller or a namespace.
pub(crate) const ADMIN_IDENTIFY: u8 = 0x06;
/// Admin: ends a command of an I/O queue.
pub(crate) const ADMIN_ABORT: u8 = 0x08;
/// Admin: sets a feature.
pub(crate) const ADMIN_SET_FEATURES: u8 = 0x09;
/// Admin: is answered when something has happened.
pub(crate) const ADMIN_ASYNC_EVENT: u8 = 0x0c;

/// What was written before is made durable.
pub(crate) const FLUSH: u8 = 0x00;
/// Memory to media.
pub(crate) const WRITE: u8 = 0x01;
/// Media to memory.
pub(crate) const READ: u8 = 0x02;
/// The range reads as zeros from now on.
pub(crate) const WRITE_ZEROES: u8 = 0x08;
/// Hints about ranges.
pub(crate) const DATASET_MANAGEMENT: u8 = 0x09;

/// Identify: a namespace.
pub(crate) const CNS_NAMESPACE: u32 = 0;
/// Identify: the controller.
pub(crate) const CNS_CONTROLLER: u32 = 1;
/// Identify: the active namespaces' numbers.
pub(crate) const CNS_ACTIVE: u32 = 2;

/// Set Features: how many I/O queues.
pub(crate) const FEATURE_QUEUES: u32 = 0x07;
/// Set Features: which events are reported.
pub(crate) const FEATURE_EVENTS: u32 = 0x0b;

/// Get Log Page: health.
pub(crate) const LOG_HEALTH: u32 = 0x02;
/// Get Log Page: namespaces that changed.
pub(crate) const LOG_CHANGED_NAMESPACES: u32 = 0x04;
/// Every namespace.
pub(crate) const ALL_NAMESPACES: u32 = u32::MAX;

/// Queue creation: one piece of memory.
pub(crate) const QUEUE_CONTIGUOUS: u32 = 1 << 0;
/// Completion queue creation: its interrupt is wanted.
pub(crate) const QUEUE_INTERRUPTS: u32 = 1 << 1;
/// Write: durable when it completes.
pub(crate) const FORCE_UNIT_ACCESS: u32 = 1 << 30;
/// Dataset management: the ranges are not needed any more.
pub(crate) const DEALLOCATE: u32 = 1 << 2;

/// Where a command's data is, in the two forms there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataPointer {
    /// Two quadwords: PRP entries, or an SGL descriptor.
    pub(crate) words: [u64; 2],
    /// They are an SGL descriptor.
    pub(crate) is_sgl: bool,
}

impl DataPointer {
    /// One page, from its start.
    pub(crate) const fn page(address: u64) -> Self {
        Self {
            words: [address, 0],
            is_sgl: false,
        }
    }
}

/// A command, as its queue is given it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) opcode: u8,
    /// What its completion names.
    pub(crate) id: u16,
    pub(crate) namespace: u32,
    pub(crate) data: DataPointer,
    /// Command dwords 10 to 15.
    pub(crate) dwords: [u32; 6],
}

impl Command {
    /// The entry's bytes.
    pub(crate) fn encode(&self) -> [u8; COMMAND_SIZE] {
        let mut entry = [0; COMMAND_SIZE];
        let mut put = |at: usize, bytes: &[u8]| {
            entry[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let transfer = if self.data.is_sgl { 1 << 14 } else { 0 };
        let first = u32::from(self.opcode) | transfer | u32::from(self.id) << 16;
        put(0, &first.to_le_bytes());
        put(4, &self.namespace.to_le_bytes());
        put(24, &self.data.words[0].to_le_bytes());
        put(32, &self.data.words[1].to_le_bytes());
        for (index, dword) in self.dwords.iter().enumerate() {
            put(40 + 4 * index, &dword.to_le_bytes());
        }
        entry
    }

    /// A read, write or the like of `blocks` blocks, at least one and at most 65536, from `first`
    /// on.
    pub(crate) fn of_blocks(opcode: u8, namespace: u32, first: u64, blocks: u32) -> Self {
        let count = blocks.saturating_sub(1) & 0xffff;
        Self {
            opcode,
            namespace,
            dwords: [first as u32, (first >> 32) as u32, count, 0, 0, 0],
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_laid_out_as_the_specification_has_it() {
        let mut command = Command::of_blocks(READ, 7, 0x1_2345_6789, 256);
        command.id = 0xabcd;
        command.data = DataPointer {
            words: [0x1111_2222_3333_4000, 0x5555_6666_7777_8000],
            is_sgl: false,
        };
        let entry = command.encode();
        assert_eq!(entry[..8], [0x02, 0x00, 0xcd, 0xab, 7, 0, 0, 0]);
        assert_eq!(entry[8..24], [0; 16], "reserved, and no metadata");
        assert_eq!(entry[24..32], 0x1111_2222_3333_4000u64.to_le_bytes());
        assert_eq!(entry[32..40], 0x5555_6666_7777_8000u64.to_le_bytes());
        assert_eq!(entry[40..48], 0x1_2345_6789u64.to_le_bytes());
        assert_eq!(entry[48..52], [0xff, 0, 0, 0], "counted from 0");
        assert_eq!(entry[52..], [0; 12]);
    }

    #[test]
    fn a_scatter_gather_list_is_marked_in_the_first_dword() {
        let mut command = Command::of_blocks(WRITE, 1, 0, 1);
        command.data.is_sgl = true;
        assert_eq!(command.encode()[..4], [0x01, 0x40, 0, 0]);
    }
}
