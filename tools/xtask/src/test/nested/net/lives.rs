//! A domain is saved and restored, and migrated, while dom0 writes to its disk over its network.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lab::guest::{Guest, PROMPT};
use lab::{Disk, Nest, Running};

use super::node::{self, ADDRESS, NBD};
use crate::test::nested::domain::{SECOND, sum};
use crate::test::nested::fio::found_what_it_wrote;

const NAME: &str = "lives";
const BYTES: u64 = 16 << 20;
const MEMORY_MIB: u32 = 32;
/// What is written and verified over NBD all the while: whatever is read, is read to be verified.
const LOAD: &str = "exec fio --name=load --ioengine=nbd --size=4m --bsrange=4k-64k --iodepth=8 \
                    --rw=randwrite --verify=crc32c --verify_fatal=1 --time_based --runtime=36000";
/// How long fio may run.
const LIFE: Duration = Duration::from_secs(5400);
/// A file of dom0's memory.
const IMAGE: &str = "/run/lives.save";
/// Where a file has no room.
const LITTLE: &str = "/run/little";
/// What receives a domain, and is not heard when it says that it has it.
const UNHEARD: &str = "xl migrate-receive | head -n 1";
/// How long the domain may take to be saved or migrated, or to be there again.
const SAVED: Duration = Duration::from_secs(120);

/// A domain, and fio that writes to its disk and finds what it wrote.
struct Scene<'nest> {
    nest: &'nest Nest,
    disk: Disk,
    /// What the disk is in the domain.
    provider: &'static str,
    guest: Guest<'nest>,
    load: Running,
}

/// Saves and restores the domain `times` times; every third time it goes on beside its copy, and
/// before each it is to be saved where there is no room, so that it goes on as if nothing was. With
/// two `vcpus`, its disk is the second one's.
pub(in crate::test::nested) fn saved_and_restored(
    nest: &Nest,
    times: u32,
    vcpus: u32,
) -> Result<()> {
    nest.check(&format!(
        "mkdir -p {LITTLE} && mount -t tmpfs -o size=256k none {LITTLE}"
    ))?;
    let mut scene = Scene::new(nest, vcpus)?;
    for time in 0..times {
        let saved = scene.save(time % 3 == 1);
        saved.with_context(|| format!("{time} of {times}"))?;
    }
    scene.end()?;
    nest.check(&format!("rm -f {IMAGE}; umount {LITTLE}"))?;
    Ok(())
}

/// Migrates the domain `times` times, to the host it is on. Before each, what receives it is not
/// heard, so that it goes on where it was. With two `vcpus`, its disk is the second one's.
pub(in crate::test::nested) fn migrated(nest: &Nest, times: u32, vcpus: u32) -> Result<()> {
    let mut scene = Scene::new(nest, vcpus)?;
    // What is migrated has another name until it is there, and its console's log that name.
    let log = format!("/var/log/xen/console/guest-{NAME}--incoming.log");
    nest.check(&format!("ln -sf guest-{NAME}.log {log}"))?;
    for time in 0..times {
        let migrated = scene.migrate();
        migrated.with_context(|| format!("{time} of {times}"))?;
    }
    scene.end()?;
    nest.check(&format!("rm {log} {IMAGE}"))?;
    Ok(())
}

impl<'nest> Scene<'nest> {
    fn new(nest: &'nest Nest, vcpus: u32) -> Result<Self> {
        nest.network()?;
        let disk = Disk::new(nest, NAME, BYTES, 512)?;
        let (vdev, provider) = match vcpus {
            1 => ("xvda", "xbd0"),
            _ => ("xvdb", "xbd1"),
        };
        let config = format!(
            "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = {MEMORY_MIB}\nvcpus = {vcpus}\n\
             vif = [\"{}\"]\ndisk = [\"{}\"]\ncmdline = '{} nbd=rw:{provider}'\n",
            node::vif(""),
            disk.xl_quick(vdev, "w"),
            node::STATIC
        );
        let mut guest = nest.create_guest(NAME, &config)?;
        guest.wait_for(PROMPT, 40 * SECOND)?;
        node::wait_for_address(&mut guest, ADDRESS)?;
        node::answers(nest, ADDRESS)?;
        let line = format!("echo $$ >/tmp/load.pid; {LOAD} --uri={NBD}/rw");
        let load = nest.start(&line, LIFE, false)?;
        Ok(Self {
            nest,
            disk,
            provider,
            guest,
            load,
        })
    }

    /// A suspension that is cancelled, then one that is not.
    fn save(&mut self, beside: bool) -> Result<()> {
        let failed = self.xl(&format!("xl save {NAME} {LITTLE}/image"))?;
        ensure!(!failed.success(), "there was no room: {failed}");
        self.goes_on("suspend: cancelled; the domain goes on")?;
        let (line, said) = if beside {
            let line = format!("xl save -c {NAME} {IMAGE}");
            (line, "suspend: cancelled; the domain goes on")
        } else {
            let line = format!("xl save {NAME} {IMAGE} && xl restore {IMAGE}");
            (line, "suspend: the domain lives anew")
        };
        let saved = self.xl(&line)?;
        ensure!(saved.success(), "{saved}");
        self.goes_on(said)?;
        self.nest.check(&format!("rm -f {IMAGE} {LITTLE}/image"))?;
        Ok(())
    }

    /// A migration that fails at its end, then one that does not.
    fn migrate(&mut self) -> Result<()> {
        let failed = self.xl(&format!("xl migrate -s '' {NAME} '{UNHEARD}'"))?;
        ensure!(!failed.success(), "nobody was heard: {failed}");
        let goes_on = self.goes_on("suspend: cancelled; the domain goes on");
        goes_on.with_context(|| format!("nobody was heard: {failed}"))?;
        self.nest.check(&format!("xl destroy {NAME}--incoming"))?;
        let before = self.guest.id()?;
        let migrated = self.xl(&format!("xl migrate -s '' {NAME} 'xl migrate-receive'"))?;
        ensure!(migrated.success(), "{migrated}");
        self.goes_on("suspend: the domain lives anew")?;
        let after = self.guest.id()?;
        ensure!(before != after, "it is domain {after} as before");
        Ok(())
    }

    fn xl(&self, line: &str) -> Result<lab::Output> {
        self.nest.run_for(line, SAVED)
    }

    /// The domain says so, fio is still at work, and gets on: its disk is written.
    fn goes_on(&mut self, said: &str) -> Result<()> {
        let waited = self.guest.wait_for(said, SAVED);
        if let Some(ended) = self.load.wait_for(Duration::ZERO)? {
            bail!("fio ended: {ended}");
        }
        waited?;
        // Its console is another domain's now.
        self.guest.reconnect();
        node::answers(self.nest, ADDRESS)?;
        let writes = format!(
            "set -e; at=$(stat -L -c '0x%t 0x%T' {}); \
             read -r _ _ _ _ writes _ </sys/dev/block/$(printf '%d:%d' $at)/stat; echo $writes",
            self.disk.path()
        );
        let before = self.nest.check(&writes)?;
        for _ in 0..60 {
            if self.nest.check(&writes)? != before {
                return Ok(());
            }
            thread::sleep(SECOND / 2);
        }
        bail!("fio does not get on")
    }

    /// No block was found to be another than it was written, and the disk is what the domain, its
    /// copy and dom0 say it is.
    fn end(mut self) -> Result<()> {
        let nest = self.nest;
        nest.check("kill -INT $(cat /tmp/load.pid); rm /tmp/load.pid")?;
        let said = self.load.wait()?;
        found_what_it_wrote(&said)?;
        let inside = sum(&mut self.guest, self.provider)?;
        let console = self.guest.console()?;
        let gone = format!("{} gone", self.provider);
        ensure!(!console.contains(&gone), "{console}");
        let beneath = self.disk.sha256(nest, 0, BYTES)?;
        ensure!(beneath == inside, "{beneath}, inside {inside}");
        let line = format!("xl save -c {NAME} {IMAGE} && xl destroy {NAME} && xl restore {IMAGE}");
        let copied = nest.run_for(&line, SAVED)?;
        ensure!(copied.success(), "{line}: {copied}");
        self.guest
            .wait_for("suspend: the domain lives anew", SAVED)?;
        self.guest.reconnect();
        let copy = sum(&mut self.guest, self.provider)?;
        ensure!(copy == inside, "the copy reads {copy}, inside {inside}");
        self.guest.destroy()?;
        self.disk.remove(nest)
    }
}
