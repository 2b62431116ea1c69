//! Programs of one's own: the examples, as images.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::{Guest, Nest};

use super::node::{self, ADDRESS};
use crate::image::build;
use crate::test::nested::domain::SECOND;

/// How long it may take until it can be asked.
const READY: Duration = Duration::from_secs(60);

/// Starts an example's image with an address of its own; waits until it says `ready`.
pub(super) fn start<'nest>(nest: &'nest Nest, example: &str, ready: &str) -> Result<Guest<'nest>> {
    nest.network()?;
    let path = format!("/root/{example}.image");
    nest.put(&path, &fs::read(build::example(example)?)?)?;
    let config = node::config(&node::vif(""), node::STATIC);
    let config = config.replace("/root/xenolith", &path);
    let mut guest = nest.create_guest(&format!("net-{example}"), &config)?;
    guest.wait_for(ready, READY)?;
    node::answers(nest, ADDRESS)?;
    Ok(guest)
}

/// What dom0's socat sends through the echo server comes back, both ways at once.
pub(in crate::test::nested) fn socat_hears_its_echo(nest: &Nest, mebibytes: u32) -> Result<()> {
    let guest = start(nest, "echo", "echo at port 7")?;
    nest.check(&format!(
        "head -c {mebibytes}M /dev/urandom >/tmp/there && sha256sum </tmp/there >/tmp/sum"
    ))?;
    let start = Instant::now();
    let line = format!(
        "socat -b 65536 -t 60 - TCP:{ADDRESS}:7 </tmp/there | sha256sum | busybox cmp - /tmp/sum"
    );
    let output = nest.run_for(&line, 600 * SECOND)?;
    ensure!(output.success(), "in dom0: {line}\n{output}");
    let rate = f64::from(mebibytes) / start.elapsed().as_secs_f64();
    println!("      {mebibytes} MiB there and back: {rate:.1} MiB/s each way");
    nest.check("rm /tmp/there /tmp/sum")?;
    guest.destroy()
}

/// So many connections are open at once, and each has its own bytes back, three times.
pub(in crate::test::nested) fn many_connections(nest: &Nest, count: u32) -> Result<()> {
    let guest = start(nest, "echo", "echo at port 7")?;
    nest.put("/root/connections.py", include_bytes!("connections.py"))?;
    let line = format!("ulimit -n 4096; python3 /root/connections.py {ADDRESS} 7 {count}");
    let output = nest.run_for(&line, 1200 * SECOND)?;
    let all = format!("open: {count}\nanswered: {}\n", 3 * count);
    ensure!(output.success() && output.stdout == all, "{line}\n{output}");
    node::ping(nest, &format!("-i 0.01 {ADDRESS}"), 20).context("afterwards")?;
    guest.destroy()
}
