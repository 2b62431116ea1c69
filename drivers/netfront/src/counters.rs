//! What went through a link.

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets that went through.
    pub packets: u64,
    /// Their bytes, with the Ethernet header.
    pub bytes: u64,
    /// Packets dropped: for want of room, or by the backend.
    pub drops: u64,
    /// Packets that were wrong, or that the backend could not handle.
    pub errors: u64,
}

/// What went both ways since the connection was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// From the backend.
    pub received: Traffic,
    /// To the backend.
    pub sent: Traffic,
}
