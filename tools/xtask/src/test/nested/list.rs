//! The tests, by nest. A nest is booted once for all of its tests, in this order.

use std::time::Duration;

use anyhow::Result;
use lab::{Nest, Options, Suite};

use super::boot;

/// A test in a nest.
pub(super) struct Test {
    /// Its name; `--filter` looks at it.
    pub name: &'static str,
    /// What it may take on the host's clock. A nest whose test takes longer is ended.
    pub limit: Duration,
    /// Whether it runs with `--long` only.
    pub long: bool,
    /// The test. The image is `/root/xenolith` in dom0, the configs are in `/root/xl-configs`. It
    /// leaves dom0 as it found it.
    pub run: fn(&Nest) -> Result<()>,
}

/// Tests that share a nest.
pub(super) struct Group {
    /// What the nest is called.
    pub name: &'static str,
    /// Which nest it is.
    pub options: fn() -> Options,
    /// Its tests.
    pub tests: &'static [Test],
}

/// Every nested test.
pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "Xen 4.20",
        options: Options::default,
        tests: XEN_4_20,
    },
    Group {
        name: "Xen 4.17",
        options: bookworm,
        tests: XEN_4_17,
    },
];

const XEN_4_20: &[Test] = &[quick(
    "nested_boots_and_powers_off",
    boot::boots_and_powers_off,
)];

const XEN_4_17: &[Test] = &[quick(
    "nested_417_boots_and_powers_off",
    boot::boots_and_powers_off,
)];

fn bookworm() -> Options {
    Options {
        suite: Suite::Bookworm,
        ..Options::default()
    }
}

/// A test that may take a minute.
const fn quick(name: &'static str, run: fn(&Nest) -> Result<()>) -> Test {
    Test {
        name,
        limit: Duration::from_secs(60),
        long: false,
        run,
    }
}
