//! A domain with a good disk, `xbd0`, on dom0's own backend, and one, `xbd1`, whose backend is
//! ours.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::guest::Guest;
use lab::{Disk, Nest, disk};

use crate::test::nested::domain::{number, start, sum, wait_until};
use crate::test::nested::partition::{MIB, randomize};
use crate::test::nested::peer::Peer;

/// `xvdb`.
pub(super) const XVDB: u32 = 51728;
/// `xvdc`.
pub(super) const XVDC: u32 = 51744;
/// The size of our backend's disk.
pub(super) const SIZE: u64 = MIB / 4;

/// The file in dom0 with the bytes of our backend's disk.
const FILE: &str = "/run/lab/hostile.img";
/// How long things may take that take no time.
const SOON: Duration = Duration::from_secs(15);

pub(super) struct Scene<'nest> {
    pub(super) nest: &'nest Nest,
    pub(super) guest: Guest<'nest>,
    id: u32,
    good: Disk,
    good_sum: String,
    granted: u64,
    ports: usize,
    /// How much of the console is about backends before the present one.
    past: usize,
}

impl<'nest> Scene<'nest> {
    pub(super) fn new(nest: &'nest Nest, name: &str) -> Result<Self> {
        let good = Disk::new(nest, &format!("{name}-good"), SIZE, 512)?;
        randomize(nest, &good)?;
        nest.check(&format!("head -c {SIZE} /dev/urandom >{FILE}"))?;
        let guest = start(nest, name, &[good.xl_quick("xvda", "w")])?;
        let mut scene = Self {
            id: guest.id()?,
            good_sum: good.sha256(nest, 0, good.bytes())?,
            nest,
            guest,
            good,
            granted: 0,
            ports: 0,
            past: 0,
        };
        scene.good_disk_goes_on()?;
        scene.granted = scene.held()?;
        scene.ports = scene.ports()?;
        Ok(scene)
    }

    /// Starts a backend for `xvdb`.
    pub(super) fn attach(&mut self, options: &str) -> Result<Peer> {
        self.attach_as(XVDB, options)
    }

    /// Starts a backend for `vdev`.
    pub(super) fn attach_as(&mut self, vdev: u32, options: &str) -> Result<Peer> {
        self.past = self.guest.console()?.len();
        self.nest
            .check(&format!("xenstore-rm {} || true", self.error_node(vdev)))?;
        let id = self.id;
        Peer::start(
            self.nest,
            &format!("exec /run/lab/backend --domain {id} --vdev {vdev} --disk {FILE} {options}"),
        )
    }

    /// Starts a backend for `xvdb` and waits until its disk reads right.
    pub(super) fn attach_ready(&mut self, options: &str) -> Result<Peer> {
        let peer = self.attach(options)?;
        self.wait_for("disk list", "xbd1")?;
        self.reads_right()?;
        Ok(peer)
    }

    /// Waits until the shell's `command` says `text`.
    pub(super) fn wait_for(&mut self, command: &str, text: &str) -> Result<()> {
        wait_until(&mut self.guest, command, SOON, |said| {
            said.contains(text).then_some(())
        })
        .with_context(|| format!("{text:?}"))
    }

    /// Waits until `text` is in the log, which the console shows, since the last backend came.
    pub(super) fn wait_for_log(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + SOON;
        while !self.guest.console()?[self.past..].contains(text) {
            ensure!(Instant::now() < deadline, "no {text:?} in the log");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until the device's own state is this.
    pub(super) fn wait_for_state(&self, vdev: u32, state: u32) -> Result<()> {
        let node = format!("/local/domain/{}/device/vbd/{vdev}/state", self.id);
        self.nest
            .check(&format!(
                "for i in {{1..150}}; do [ \"$(xenstore-read {node})\" = {state} ] && exit; \
                 sleep 0.1; done; xenstore-read {node}; exit 1"
            ))
            .map(drop)
    }

    /// The sum of all of our backend's disk, as dom0 has it.
    pub(super) fn true_sum(&self) -> Result<String> {
        disk::sha256(self.nest, FILE, 0, SIZE)
    }

    /// `xbd1` reads as it should.
    pub(super) fn reads_right(&mut self) -> Result<()> {
        let (ours, theirs) = (sum(&mut self.guest, "xbd1")?, self.true_sum()?);
        ensure!(ours == theirs, "xbd1: {ours}, dom0 says {theirs}");
        Ok(())
    }

    /// `xbd0` still reads as it should.
    pub(super) fn good_disk_goes_on(&mut self) -> Result<()> {
        let ours = sum(&mut self.guest, "xbd0")?;
        ensure!(
            ours == self.good_sum,
            "the good disk: {ours}, dom0 says {}",
            self.good_sum
        );
        Ok(())
    }

    /// `xvdb` has failed for the reason `why`, which is in the log and in xenstore, and nothing
    /// else has.
    pub(super) fn has_failed_alone(&mut self, why: &str) -> Result<()> {
        let node = self.error_node(XVDB);
        let said = self.nest.check(&format!(
            "for i in {{1..150}}; do xenstore-read {node} 2>/dev/null && exit; sleep 0.1; done; \
             echo none"
        ))?;
        ensure!(
            said.contains(why),
            "not {why:?} but this is in xenstore: {said}"
        );
        self.wait_for_log(why)?;
        let disks = self.guest.command("disk list")?;
        ensure!(!disks.contains("xbd1"), "{disks}");
        self.good_disk_goes_on()
    }

    /// Ends the backend; all that the device had comes back.
    pub(super) fn end_peer(&mut self, peer: Peer) -> Result<()> {
        peer.end()?;
        self.is_at_rest()
    }

    /// Only the good disk is left, and nothing of the others.
    pub(super) fn is_at_rest(&mut self) -> Result<()> {
        self.wait_for("disk list", "live: 1")?;
        let said = self.guest.command("disk list")?;
        let (created, gone) = (number(&said, "created:")?, number(&said, "gone:")?);
        ensure!(created == gone + 1, "{said}");
        let at_rest = format!("granted: {}\nparked: 0 ", self.granted);
        self.wait_for("grants", &at_rest)?;
        let ports = self.ports()?;
        ensure!(
            ports == self.ports,
            "{} event channels before, {ports} now",
            self.ports
        );
        self.good_disk_goes_on()
    }

    /// Pages that are granted now and were not before, or are parked: a backend can map them.
    pub(super) fn held(&mut self) -> Result<u64> {
        let said = self.guest.command("grants")?;
        let (granted, parked) = (number(&said, "granted:")?, number(&said, "parked:")?);
        Ok((granted + parked).saturating_sub(self.granted))
    }

    /// Event channels in use.
    fn ports(&mut self) -> Result<usize> {
        Ok(self.guest.command("events")?.lines().count())
    }

    fn error_node(&self, vdev: u32) -> String {
        format!("/local/domain/{}/error/device/vbd/{vdev}/error", self.id)
    }

    /// Nothing is left, in the domain or in dom0; the domain lives to be destroyed.
    pub(super) fn end(mut self) -> Result<()> {
        self.is_at_rest()?;
        self.guest.destroy()?;
        self.nest.check(&format!(
            "rm {FILE}; xenstore-rm /local/domain/0/backend/qdisk"
        ))?;
        self.good.remove(self.nest)
    }
}
