//! Who may use a node.

use alloc::string::String;
use core::fmt;

use hv::DomId;

use crate::path;

/// What a domain may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Read and write.
    Both,
}

/// One entry of a node's permissions. In a list the first one names the owner, who may do
/// everything, and what all domains not named may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What it may do.
    pub rights: Rights,
    /// Who.
    pub domain: DomId,
}

impl Permission {
    /// The permission written as `text`, `r5` for example.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut characters = text.chars();
        let rights = match characters.next()? {
            'n' => Rights::None,
            'r' => Rights::Read,
            'w' => Rights::Write,
            'b' => Rights::Both,
            _ => return None,
        };
        Some(Self {
            rights,
            domain: path::domain(characters.as_str())?,
        })
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = match self.rights {
            Rights::None => 'n',
            Rights::Read => 'r',
            Rights::Write => 'w',
            Rights::Both => 'b',
        };
        write!(f, "{rights}{}", self.domain)
    }
}

/// Permissions as a request's payload, each ending with a NUL.
pub(crate) fn encode(permissions: &[Permission]) -> String {
    permissions
        .iter()
        .map(|permission| alloc::format!("{permission}\0"))
        .collect()
}
