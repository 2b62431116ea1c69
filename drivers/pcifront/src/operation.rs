//! An operation as bytes, and its answer.

use alloc::vec::Vec;

use xen_abi::io::pciif::{
    BUS, CMD, CONF_READ, CONF_WRITE, DEVFN, DISABLE_MSI, DISABLE_MSIX, DOMAIN, ENABLE_MSI,
    ENABLE_MSIX, ERR, ERR_SUCCESS, MAX_VECTORS, MSIX_ENTRIES, OFFSET, OP_SIZE, REGISTER_SIZE,
    VALUE,
};

use crate::{Address, Failure};

/// What the backend is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Reads `size` bytes at `offset` of the configuration space: 1, 2 or 4.
    Read {
        offset: u16,
        size: u8,
    },
    /// Writes them.
    Write {
        offset: u16,
        size: u8,
        value: u32,
    },
    /// Turns MSI on, with one vector.
    EnableMsi,
    DisableMsi,
    /// Turns MSI-X on, with so many vectors, at most 128.
    EnableMsix {
        vectors: u8,
    },
    DisableMsix,
}

/// A value of four bytes and where it goes.
fn put(bytes: &mut [u8; OP_SIZE], at: usize, value: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

fn get(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..at + 4).and_then(|field| field.first_chunk());
    u32::from_le_bytes(field.copied().unwrap_or_default())
}

impl Operation {
    fn command(self) -> u32 {
        match self {
            Self::Read { .. } => CONF_READ,
            Self::Write { .. } => CONF_WRITE,
            Self::EnableMsi => ENABLE_MSI,
            Self::DisableMsi => DISABLE_MSI,
            Self::EnableMsix { .. } => ENABLE_MSIX,
            Self::DisableMsix => DISABLE_MSIX,
        }
    }

    /// What the backend is told. MSI-X entries are numbered from 0.
    pub(crate) fn encode(self, address: Address) -> [u8; OP_SIZE] {
        let mut bytes = [0; OP_SIZE];
        put(&mut bytes, CMD, self.command());
        put(&mut bytes, DOMAIN, address.domain.into());
        put(&mut bytes, BUS, address.bus.into());
        put(&mut bytes, DEVFN, address.devfn().into());
        let (offset, size, value) = match self {
            Self::Read { offset, size } => (offset, size, 0),
            Self::Write {
                offset,
                size,
                value,
            } => (offset, size, value),
            Self::EnableMsix { vectors } => {
                for entry in 0..usize::from(vectors).min(MAX_VECTORS) {
                    // `vector` stays 0 in the lower half.
                    put(&mut bytes, MSIX_ENTRIES + entry * 4, (entry as u32) << 16);
                }
                (0, 0, vectors.into())
            }
            Self::EnableMsi | Self::DisableMsi | Self::DisableMsix => (0, 0, 0),
        };
        put(&mut bytes, OFFSET, offset.into());
        put(&mut bytes, REGISTER_SIZE, size.into());
        put(&mut bytes, VALUE, value);
        bytes
    }

    /// What a copy of the answer says: values, each of them still the backend's word.
    pub(crate) fn decode(self, asked: &[u8; OP_SIZE], answer: &[u8; OP_SIZE]) -> Answer {
        let same = |at| get(asked, at) == get(answer, at);
        // Backends leave what they were asked as it is.
        if ![CMD, DOMAIN, BUS, DEVFN, OFFSET, REGISTER_SIZE]
            .into_iter()
            .all(same)
        {
            return Answer::ToAnother;
        }
        let error = get(answer, ERR).cast_signed();
        if error != ERR_SUCCESS {
            return Answer::Mine(Err(Failure::Refused(error)));
        }
        let value = get(answer, VALUE);
        let values = match self {
            // pciback shows more than it was asked for where a register is wider.
            Self::Read { size: 1, .. } => Ok(alloc::vec![value & 0xff]),
            Self::Read { size: 2, .. } => Ok(alloc::vec![value & 0xffff]),
            Self::EnableMsix { .. } if value != 0 => Err(FEWER),
            Self::EnableMsix { vectors } => Ok((0..usize::from(vectors))
                .map(|entry| get(answer, MSIX_ENTRIES + entry * 4) & 0xffff)
                .collect()),
            _ => Ok(alloc::vec![value]),
        };
        Answer::Mine(values)
    }
}

const FEWER: Failure = Failure::Nonsense("there are fewer vectors");

/// An answer, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The register's value, or the numbers of the interrupts.
    Mine(Result<Vec<u32>, Failure>),
    /// It answers what was not asked.
    ToAnother,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Address = Address {
        domain: 1,
        bus: 2,
        slot: 3,
        function: 4,
    };

    #[test]
    fn an_operation_has_its_fields_where_the_header_has_them() {
        let write = Operation::Write {
            offset: 0x104,
            size: 2,
            value: 0xabcd,
        };
        let bytes = write.encode(ADDRESS);
        let words: Vec<u32> = (0..9).map(|word| get(&bytes, word * 4)).collect();
        assert_eq!(words, [1, 0, 1, 2, 3 << 3 | 4, 0x104, 2, 0xabcd, 0]);
        let bytes = Operation::EnableMsix { vectors: 2 }.encode(ADDRESS);
        assert_eq!(bytes[36..48], [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    fn answered(operation: Operation, change: impl FnOnce(&mut [u8; OP_SIZE])) -> Answer {
        let asked = operation.encode(ADDRESS);
        let mut answer = asked;
        change(&mut answer);
        operation.decode(&asked, &answer)
    }

    #[test]
    fn an_answer_is_the_value_the_error_or_the_interrupts() {
        let read = Operation::Read { offset: 0, size: 4 };
        let value = answered(read, |bytes| put(bytes, VALUE, 0xffff_ffff));
        assert_eq!(value, Answer::Mine(Ok(vec![u32::MAX])));
        let refused = answered(read, |bytes| put(bytes, ERR, u32::MAX));
        assert_eq!(refused, Answer::Mine(Err(Failure::Refused(-1))));
        let vectors = answered(Operation::EnableMsix { vectors: 2 }, |bytes| {
            put(bytes, VALUE, 0);
            put(bytes, MSIX_ENTRIES, 55);
            put(bytes, MSIX_ENTRIES + 4, 0x1_0038);
        });
        assert_eq!(vectors, Answer::Mine(Ok(vec![55, 56])));
    }

    #[test]
    fn p01_an_answer_is_no_wider_than_its_register_and_has_all_vectors() {
        for (size, value) in [(1, 0xff), (2, 0xffff)] {
            let read = Operation::Read { offset: 0, size };
            let wide = answered(read, |bytes| put(bytes, VALUE, u32::MAX));
            assert_eq!(wide, Answer::Mine(Ok(vec![value])));
        }
        let fewer = answered(Operation::EnableMsix { vectors: 4 }, |_| {});
        assert_eq!(fewer, Answer::Mine(Err(FEWER)), "4 stands there as asked");
    }

    #[test]
    fn p01_an_answer_to_another_operation_is_known_as_such() {
        for field in [CMD, DOMAIN, BUS, DEVFN, OFFSET, REGISTER_SIZE] {
            let read = Operation::Read { offset: 4, size: 2 };
            let other = answered(read, |bytes| put(bytes, field, 77));
            assert_eq!(other, Answer::ToAnother);
        }
    }
}
