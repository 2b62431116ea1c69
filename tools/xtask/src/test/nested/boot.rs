//! The image starts and ends.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::Nest;
use lab::guest::Reason;

const CONFIG: &str = r#"
kernel = "/root/xenolith"
memory = 32
vcpus = 1
extra = 'run="poweroff"'
on_poweroff = "destroy"
"#;

/// It says when it is ready, runs what its command line asks for, and powers off; Xen gives it AVX.
pub(super) fn boots_and_powers_off(nest: &Nest) -> Result<()> {
    let mut guest = nest.create_guest("boots", CONFIG)?;
    guest.wait_for("xenolith: ready", Duration::from_secs(20))?;
    let reason = guest.wait_shutdown(Duration::from_secs(20))?;
    ensure!(
        reason == Reason::Poweroff,
        "it ended by {reason:?}, not by poweroff"
    );
    let console = guest.console()?;
    ensure!(
        console.contains("boot: pages are copied by AVX"),
        "no AVX:\n{console}"
    );
    guest.wait_gone(Duration::from_secs(20))
}
