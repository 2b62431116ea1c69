//! Registers, commands and completions as they lie in memory (NVM Express 1.4).

/// Controller capabilities.
pub(super) const CAP: usize = 0x00;
/// Version.
pub(super) const VS: usize = 0x08;
/// Controller configuration.
pub(super) const CC: usize = 0x14;
/// Controller status.
pub(super) const CSTS: usize = 0x1c;
/// Admin queue attributes.
pub(super) const AQA: usize = 0x24;
/// Admin submission queue.
pub(super) const ASQ: usize = 0x28;
/// Admin completion queue.
pub(super) const ACQ: usize = 0x30;
/// The doorbells, 4 bytes each.
pub(super) const DOORBELLS: usize = 0x1000;

/// CSTS.RDY.
pub(super) const READY: u32 = 1;
/// CSTS.CFS.
pub(super) const FATAL: u32 = 2;

/// A command, as it was fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    bytes: [u8; 64],
}

impl Command {
    pub(super) fn new(bytes: [u8; 64]) -> Self {
        Self { bytes }
    }

    fn number<const N: usize>(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word[..N].copy_from_slice(&self.bytes[at..at + N]);
        u64::from_le_bytes(word)
    }

    pub(super) fn opcode(&self) -> u8 {
        self.bytes[0]
    }

    pub(super) fn is_sgl(&self) -> bool {
        self.bytes[1] & 0xc0 == 0x40
    }

    pub(super) fn id(&self) -> u16 {
        self.number::<2>(2) as u16
    }

    pub(super) fn namespace(&self) -> u32 {
        self.number::<4>(4) as u32
    }

    /// The two quadwords of the data pointer.
    pub(super) fn data(&self) -> [u64; 2] {
        [self.number::<8>(24), self.number::<8>(32)]
    }

    /// Command dword 10 to 15.
    pub(super) fn dword(&self, number: usize) -> u32 {
        self.number::<4>(number * 4) as u32
    }

    /// The first block of a command about blocks.
    pub(super) fn first(&self) -> u64 {
        self.number::<8>(40)
    }

    /// How many blocks it is about.
    pub(super) fn blocks(&self) -> u64 {
        self.number::<2>(48) + 1
    }
}

/// A completion as it is written: result, how far which queue was read, id, phase and status.
pub(super) fn completion(
    result: u32,
    (head, queue): (u16, u16),
    id: u16,
    phase: bool,
    status: u16,
) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&result.to_le_bytes());
    bytes[8..10].copy_from_slice(&head.to_le_bytes());
    bytes[10..12].copy_from_slice(&queue.to_le_bytes());
    bytes[12..14].copy_from_slice(&id.to_le_bytes());
    let status = status << 1 | u16::from(phase);
    bytes[14..].copy_from_slice(&status.to_le_bytes());
    bytes
}
