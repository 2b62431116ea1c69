//! Long TCP streams, timed, with sums at both ends.

use std::time::Instant;

use anyhow::{Result, ensure};
use lab::Nest;

use super::node::{self, NBD};
use crate::test::nested::domain::{SECOND, sum};

/// Into a memory disk and out of it again over one connection each: dom0's file, what the domain
/// sums, and what comes back are the same. The protocol is NBD's: the domain has no plain sink.
pub(in crate::test::nested) fn both_ways(nest: &Nest, mebibytes: u32) -> Result<()> {
    let words = format!("md=stream:{mebibytes}M nbd=stream:md0");
    let mut guest = node::start(nest, "net-tcp", &words)?;
    nest.check(&format!(
        "head -c {mebibytes}M /dev/urandom >/tmp/there && rm -f /tmp/back"
    ))?;
    let theirs = nest.check("sha256sum </tmp/there")?;
    let theirs = theirs.split(' ').next().unwrap_or_default();
    let copy = "nbdcopy --connections=1";
    timed(
        nest,
        "to it",
        &format!("{copy} /tmp/there {NBD}/stream"),
        mebibytes,
    )?;
    ensure!(
        sum(&mut guest, "md0")? == theirs,
        "the domain has other bytes"
    );
    timed(
        nest,
        "from it",
        &format!("{copy} {NBD}/stream /tmp/back"),
        mebibytes,
    )?;
    nest.check("busybox cmp /tmp/there /tmp/back && rm /tmp/there /tmp/back")?;
    guest.destroy()
}

fn timed(nest: &Nest, what: &str, line: &str, mebibytes: u32) -> Result<()> {
    let start = Instant::now();
    let output = nest.run_for(line, 300 * SECOND)?;
    ensure!(output.success(), "in dom0: {line}\n{output}");
    let rate = f64::from(mebibytes) / start.elapsed().as_secs_f64();
    println!("      {mebibytes} MiB {what}: {rate:.1} MiB/s");
    Ok(())
}
