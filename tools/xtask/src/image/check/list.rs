//! The checks, and what they look at.

use anyhow::{Context, Result};

use super::super::elf::Elf;
use super::{kind, notes, red_zone, relocations, same, size, tls, xen_sys};

/// The finished file, and the linked one it was made from.
pub(crate) struct Finished {
    /// The file that Xen loads.
    pub bytes: Vec<u8>,
    /// The same, taken apart.
    pub image: Elf,
    /// The linked file, with sections and symbols.
    pub linked: Elf,
}

impl Finished {
    /// Takes both files apart.
    pub(crate) fn parse(image: Vec<u8>, linked: &[u8]) -> Result<Self> {
        Ok(Self {
            image: Elf::parse(&image).context("the image")?,
            linked: Elf::parse(linked).context("the debug file")?,
            bytes: image,
        })
    }
}

/// A check: what it shows, and how.
pub(crate) struct Check {
    /// What holds if it passes.
    pub name: &'static str,
    /// What is wrong; nothing if it passes.
    pub run: fn(&Finished) -> Vec<String>,
}

/// Every check.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "the image is an x86-64 ELF64 file of type EXEC",
        run: kind::problems,
    },
    Check {
        name: "the image has no relocations",
        run: relocations::problems,
    },
    Check {
        name: "the image has the Xen notes",
        run: notes::problems,
    },
    Check {
        name: "no function uses the red zone",
        run: red_zone::problems,
    },
    Check {
        name: "the image has no thread-local storage",
        run: tls::problems,
    },
    Check {
        name: "no function of xen-sys is linked",
        run: xen_sys::problems,
    },
    Check {
        name: "the debug file loads the same bytes",
        run: same::problems,
    },
    Check {
        name: "the image is smaller than 1.75 MiB",
        run: size::problems,
    },
];
