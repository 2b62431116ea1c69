//! What the shell shows of a controller.

use alloc::string::String;

use crate::health::Health;

/// How a controller stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `nvme0`.
    pub name: String,
    /// Where on the bus it is.
    pub address: String,
    /// Its model, serial number and firmware, as it gives them; empty before it was asked.
    pub model: String,
    /// See [`model`](Self::model).
    pub serial: String,
    /// See [`model`](Self::model).
    pub firmware: String,
    /// It serves requests.
    pub live: bool,
    /// Times that it was reset.
    pub resets: u32,
    /// Its health, when it was last heard of.
    pub health: Option<Health>,
}
