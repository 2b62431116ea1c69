//! A completion's 16 bytes (NVM Express 1.4, 4.6); pure.

use core::fmt;

/// Bytes of a completion queue entry.
pub(crate) const COMPLETION_SIZE: usize = 16;

/// What the controller said of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The command's own result.
    pub(crate) result: u32,
    /// How far the controller has read the submission queue.
    pub(crate) sq_head: u16,
    /// Which submission queue that is.
    pub(crate) sq: u16,
    /// The command's id.
    pub(crate) id: u16,
    pub(crate) status: Status,
}

impl Completion {
    /// Reads the dwords of an entry.
    pub(crate) fn decode(dwords: [u32; 4]) -> Self {
        let [result, _, queue, last] = dwords;
        Self {
            result,
            sq_head: queue as u16,
            sq: (queue >> 16) as u16,
            id: last as u16,
            status: Status((last >> 17) as u16),
        }
    }

    /// Whether the phase tag, a bit of the last dword, is set.
    pub(crate) fn phase(last: u32) -> bool {
        last & 1 << 16 != 0
    }
}

/// How a command ended: type and code, and whether to repeat it helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16);

impl Status {
    pub(crate) const INVALID_OPCODE: u16 = 0x001;
    pub(crate) const INVALID_FIELD: u16 = 0x002;
    pub(crate) const INVALID_NAMESPACE: u16 = 0x00b;
    pub(crate) const WRITE_PROTECTED: u16 = 0x020;
    pub(crate) const CAPACITY_EXCEEDED: u16 = 0x081;

    pub(crate) fn is_success(self) -> bool {
        self.code() == 0
    }

    /// Type and code, as the specification writes them: `0x182` is type 1, code 0x82.
    pub(crate) fn code(self) -> u16 {
        self.0 & 0x7ff
    }

    /// To repeat the command cannot help.
    pub(crate) fn is_final(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.code() {
            0x000 => "success",
            Self::INVALID_OPCODE => "invalid opcode",
            Self::INVALID_FIELD => "invalid field",
            0x004 => "data transfer error",
            0x006 => "internal error",
            0x007 => "aborted",
            Self::INVALID_NAMESPACE => "invalid namespace",
            Self::WRITE_PROTECTED => "write protected",
            0x080 => "out of range",
            Self::CAPACITY_EXCEEDED => "capacity exceeded",
            0x082 => "namespace not ready",
            0x280 => "write fault",
            0x281 => "unrecovered read error",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#05x}", self.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_read_as_the_specification_has_it() {
        let dwords = [
            0xdead_beef,
            0,
            3 << 16 | 17,
            0xabcd | 1 << 16 | 0x4281 << 17,
        ];
        let completion = Completion::decode(dwords);
        assert_eq!(completion.result, 0xdead_beef);
        assert_eq!((completion.sq_head, completion.sq), (17, 3));
        assert_eq!(completion.id, 0xabcd);
        assert!(!completion.status.is_success() && completion.status.is_final());
        assert_eq!(completion.status.to_string(), "unrecovered read error");
        assert!(Completion::phase(dwords[3]) && !Completion::phase(dwords[3] & !(1 << 16)));
    }

    #[test]
    fn success_may_carry_other_bits_and_a_code_without_a_name_is_shown() {
        assert!(Status(1 << 13).is_success(), "more information is logged");
        assert_eq!(Status(0x123).to_string(), "status 0x123");
    }
}
