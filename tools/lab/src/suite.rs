//! The Debian releases that dom0 can be.

/// A Debian release, and with it a version of Xen and of dom0's Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// Debian 13: Xen 4.20, Linux 6.12.
    #[default]
    Trixie,
    /// Debian 12: Xen 4.17, Linux 6.1.
    Bookworm,
}

impl Suite {
    /// The release's name, as Debian writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Bookworm => "bookworm",
        }
    }

    /// The version of Xen it brings.
    #[must_use]
    pub fn xen(self) -> &'static str {
        match self {
            Self::Trixie => "4.20",
            Self::Bookworm => "4.17",
        }
    }
}

impl std::str::FromStr for Suite {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Trixie, Self::Bookworm]
            .into_iter()
            .find(|suite| suite.name() == name)
            .ok_or_else(|| anyhow::anyhow!("suite {name:?}: there are trixie and bookworm"))
    }
}
