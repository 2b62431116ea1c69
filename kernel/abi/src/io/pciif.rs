//! `io/pciif.h`: one page that a PCI frontend and its backend share.
//!
//! The frontend writes an operation, sets [`ACTIVE`] and raises an event; the backend writes its
//! answer, clears the flag and raises one. Errors of a device go the other way, with
//! [`AER_ACTIVE`]. All fields are 32 bits wide but for the MSI-X entries.

/// The number that a frontend publishes as `magic`.
pub const MAGIC: &str = "7";

/// In the page, u32: [`ACTIVE`], [`AER_HANDLER`], [`AER_ACTIVE`].
pub const FLAGS: usize = 0;
/// In the page: the operation.
pub const OP: usize = 4;
/// In the page: the error of a device.
pub const AER_OP: usize = 552;
/// Bytes of the page that are used.
pub const SIZE: usize = 572;

/// Bit of [`FLAGS`]: the backend has an operation to do.
pub const ACTIVE: u32 = 0;
/// Bit of [`FLAGS`]: the frontend wants to be told of errors.
pub const AER_HANDLER: u32 = 1;
/// Bit of [`FLAGS`]: the frontend has an error to look at.
pub const AER_ACTIVE: u32 = 2;

/// In an operation: what to do.
pub const CMD: usize = 0;
/// In an operation, signed: the answer's `ERR_*`.
pub const ERR: usize = 4;
/// In an operation: the device's PCI domain.
pub const DOMAIN: usize = 8;
/// In an operation: the device's bus.
pub const BUS: usize = 12;
/// In an operation: the device's slot, times 8, and function.
pub const DEVFN: usize = 16;
/// In an operation: which configuration register.
pub const OFFSET: usize = 20;
/// In an operation: how many bytes of it.
pub const REGISTER_SIZE: usize = 24;
/// In an operation: the register's value, or how many MSI-X vectors.
pub const VALUE: usize = 28;
/// In an operation: nothing that is used.
pub const INFO: usize = 32;
/// In an operation: the MSI-X entries.
pub const MSIX_ENTRIES: usize = 36;
/// Bytes of an operation.
pub const OP_SIZE: usize = 548;
/// How many MSI-X entries there are: `vector` u16, `entry` u16.
pub const MAX_VECTORS: usize = 128;

/// Read a configuration register.
pub const CONF_READ: u32 = 0;
/// Write one.
pub const CONF_WRITE: u32 = 1;
/// Turn MSI on.
pub const ENABLE_MSI: u32 = 2;
/// Turn MSI off.
pub const DISABLE_MSI: u32 = 3;
/// Turn MSI-X on.
pub const ENABLE_MSIX: u32 = 4;
/// Turn MSI-X off.
pub const DISABLE_MSIX: u32 = 5;
/// A device has an error.
pub const AER_DETECTED: u32 = 6;
/// It may go on.
pub const AER_RESUME: u32 = 7;
/// Its registers can be read again.
pub const AER_MMIO: u32 = 8;
/// It was reset.
pub const AER_SLOTRESET: u32 = 9;

/// Done.
pub const ERR_SUCCESS: i32 = 0;
/// There is no such device.
pub const ERR_DEV_NOT_FOUND: i32 = -1;
/// There is no such register.
pub const ERR_INVALID_OFFSET: i32 = -2;
/// The frontend may not do that.
pub const ERR_ACCESS_DENIED: i32 = -3;
/// The backend cannot do that.
pub const ERR_NOT_IMPLEMENTED: i32 = -4;
/// It went wrong.
pub const ERR_OP_FAILED: i32 = -5;
