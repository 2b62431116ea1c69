//! How an answer can be false.

use xen_abi::io::blkif::Response;

/// What a false answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// This id (F01).
    Id(u64),
    /// This operation (F03).
    Operation(u8),
    /// This status (F04).
    Status(i16),
}

impl Lie {
    pub(super) fn tell(self, response: Response) -> Response {
        match self {
            Self::Id(id) => Response { id, ..response },
            Self::Operation(operation) => Response {
                operation,
                ..response
            },
            Self::Status(status) => Response { status, ..response },
        }
    }
}
