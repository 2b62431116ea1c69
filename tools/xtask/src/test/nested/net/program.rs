//! Programs of one's own: the examples, as images.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::guest::Reason;
use lab::{Disk, Guest, Nest};

use super::node::{self, ADDRESS};
use crate::image::build;
use crate::test::nested::domain::SECOND;

/// How long it may take until it can be asked.
const READY: Duration = Duration::from_secs(60);

/// Bytes of a disk that is copied: not a whole number of what is moved at a time.
const COPIED: u64 = (9 << 20) + 4096;

/// Builds an example's image and starts it with these disks, an address of its own and `words` on
/// its command line; waits until it says `ready`.
fn start<'nest>(
    nest: &'nest Nest,
    example: &str,
    (disks, words): (&[String], &str),
    ready: &str,
) -> Result<Guest<'nest>> {
    nest.network()?;
    let path = format!("/root/{example}.image");
    nest.put(&path, &fs::read(build::example(example)?)?)?;
    let config = node::config(&node::vif(""), &format!("{} {words}", node::STATIC));
    let config = config.replace("/root/xenolith", &path);
    let disks = disks.iter().map(|disk| format!("'{disk}',"));
    let config = format!("{config}disk = [{}]\n", disks.collect::<String>());
    let mut guest = nest.create_guest(&format!("net-{example}"), &config)?;
    guest.wait_for(ready, READY)?;
    Ok(guest)
}

/// An example that serves at its address.
fn serve<'nest>(
    nest: &'nest Nest,
    example: &str,
    disks: &[String],
    ready: &str,
) -> Result<Guest<'nest>> {
    let guest = start(nest, example, (disks, ""), ready)?;
    node::answers(nest, ADDRESS)?;
    Ok(guest)
}

/// The web server says what disks there are, and that there is no other page.
pub(in crate::test::nested) fn web_server_lists_disks(nest: &Nest) -> Result<()> {
    let disk = Disk::new(nest, "web", COPIED, 512)?;
    let disks = [disk.xl_quick("xvda", "r")];
    let guest = serve(nest, "webserver", &disks, "a web server at port 80")?;
    let page = nest.check(&format!("curl -s --fail http://{ADDRESS}/"))?;
    ensure!(page == format!("xbd0: {COPIED} bytes\n"), "{page}");
    let other = format!("curl -s -o /dev/null -w '%{{http_code}}' http://{ADDRESS}/other");
    let status = nest.check(&other)?;
    ensure!(status == "404", "{status}");
    guest.destroy()?;
    disk.remove(nest)
}

/// The block copy makes one disk of dom0's as another is, says its sum, and powers off.
pub(in crate::test::nested) fn block_copy_copies_a_disk(nest: &Nest) -> Result<()> {
    let (from, to) = (
        Disk::new(nest, "copy-from", COPIED, 512)?,
        Disk::new(nest, "copy-to", COPIED, 512)?,
    );
    let fill = "dd if=/dev/urandom bs=4096 status=none iflag=fullblock";
    nest.check(&format!(
        "{fill} count={} of={}",
        COPIED / 4096,
        from.path()
    ))?;
    let disks = [from.xl_quick("xvda", "r"), to.xl_quick("xvdb", "w")];
    let words = "app=\"xbd0 xbd1\"";
    let ready = "from xbd0 to xbd1, SHA-256 ";
    let mut guest = start(nest, "blockcopy", (&disks, words), ready)?;
    let reason = guest.wait_shutdown(READY)?;
    ensure!(reason == Reason::Poweroff, "it ended by {reason:?}");
    let (wanted, found) = (from.sha256(nest, 0, COPIED)?, to.sha256(nest, 0, COPIED)?);
    ensure!(found == wanted, "{wanted} was copied, {found} is there");
    let console = guest.console()?;
    ensure!(
        console.contains(&format!("{COPIED} bytes {ready}{wanted}")),
        "{console}"
    );
    guest.wait_gone(READY)?;
    [from, to]
        .into_iter()
        .try_for_each(|disk| disk.remove(nest))
}

/// What dom0's socat sends through the echo server comes back, both ways at once.
pub(in crate::test::nested) fn socat_hears_its_echo(nest: &Nest, mebibytes: u32) -> Result<()> {
    let guest = serve(nest, "echo", &[], "echo at port 7")?;
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
    let guest = serve(nest, "echo", &[], "echo at port 7")?;
    nest.put("/root/connections.py", include_bytes!("connections.py"))?;
    let line = format!("ulimit -n 4096; python3 /root/connections.py {ADDRESS} 7 {count}");
    let output = nest.run_for(&line, 1200 * SECOND)?;
    let all = format!("open: {count}\nanswered: {}\n", 3 * count);
    ensure!(output.success() && output.stdout == all, "{line}\n{output}");
    node::ping(nest, &format!("-i 0.01 {ADDRESS}"), 20).context("afterwards")?;
    guest.destroy()
}
