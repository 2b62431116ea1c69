//! What only this driver can say of why a device cannot go on.

use alloc::string::String;
use core::fmt;

use frontend::Failure;
use hv::Errno;

use crate::misbehaviour::Misbehaviour;
use crate::pool::NoPage;

/// What is wrong with a backend, or with this domain.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The backend cannot copy what is received.
    NoCopy,
    /// The vif's address is none; so it begins.
    Address(String),
    /// The backend breaks the protocol.
    Misbehaviour(Misbehaviour),
    /// No page for rings or data.
    Memory(NoPage),
    /// No event channel.
    Port(Errno),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCopy => f.write_str("the backend does not offer feature-rx-copy"),
            Self::Address(text) => write!(f, "{text:?} is not a device's Ethernet address"),
            Self::Misbehaviour(what) => write!(f, "the backend breaks the protocol: {what}"),
            Self::Memory(error) => write!(f, "no page for rings or data: {error}"),
            Self::Port(error) => write!(f, "no event channel: {error}"),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::own(&fault)
    }
}
