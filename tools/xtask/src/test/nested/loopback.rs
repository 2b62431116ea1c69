//! Our frontend in dom0 and dom0's own backend: what the driver domain's tests are made with is as
//! it should be, with a peer that is known.

use anyhow::{Context, Result, ensure};
use lab::{Disk, Nest};

use super::domain::number;
use super::fill::expect;
use super::frontend::Frontend;
use super::partition::MIB;

/// `xvdb`.
const XVDB: u32 = 51728;
/// The size of the disk.
const SIZE: u64 = MIB / 2;

/// A disk in dom0, and what there was in dom0 before.
struct Scene<'nest> {
    nest: &'nest Nest,
    disk: Disk,
    /// What Linux's block script would write: the device's numbers.
    device: String,
}

impl<'nest> Scene<'nest> {
    fn new(nest: &'nest Nest, name: &str) -> Result<Self> {
        let disk = Disk::new(nest, name, SIZE, 512)?;
        let device = nest.check(&format!("stat -L -c %t:%T {}", disk.path()))?;
        let device = device.trim().to_owned();
        nest.check("echo 2 >/sys/module/xen_blkback/parameters/max_queues")?;
        Ok(Self { nest, disk, device })
    }

    /// Starts a frontend on dom0's backend, which serves the disk.
    fn frontend(&self, options: &str) -> Result<Frontend> {
        let device = &self.device;
        let options = format!("--back physical-device={device} {options}");
        Frontend::start(self.nest, 0, XVDB, &options)
    }

    /// Waits until nothing is left, in xenstore or in Linux.
    fn is_clean(&self) -> Result<()> {
        self.nest
            .check(
                "for i in $(seq 40); do \
                 left=; \
                 for node in device/vbd backend/vbd/0; do \
                 ! xenstore-exists /local/domain/0/$node || left=\"$left $node\"; done; \
                 for device in /sys/bus/xen*/devices/vbd-*; do \
                 [ ! -e $device ] || left=\"$left $device\"; done; \
                 [ \"$left\" ] || exec grep -x 1 /sys/bus/xen/drivers_autoprobe; \
                 sleep 0.2; done; echo \"$left\"; exit 1",
            )
            .map(drop)
    }

    fn end(self) -> Result<()> {
        self.is_clean()?;
        self.disk.remove(self.nest)
    }
}

/// Both layouts, rings of one and of more pages, several queues: all that is written is on the
/// disk, and is read.
pub(super) fn shapes_of_every_kind(nest: &Nest) -> Result<()> {
    let scene = Scene::new(nest, "shapes")?;
    let shapes = [
        ("", "", 32),
        ("--ring-order 4 --persistent", "indirect=256", 512),
        ("--abi 32 --ring-order 1", "indirect=20", 64),
        ("--abi 32 --queues 2", "", 32),
        ("--queues 2 --ring-order 2", "indirect=256 depth=2", 128),
    ];
    for (seed, (options, work, entries)) in (1..).zip(shapes) {
        let mut frontend = scene.frontend(options)?;
        frontend.obey("attach")?;
        let offers = frontend.obey("connect").context(options)?;
        ensure!(
            number(&offers, "entries=")? == entries,
            "{options}: {offers}"
        );
        let did = frontend.obey(&format!("work {seed} {work}"));
        let did = did.context(options)?;
        expect(nest, &scene.disk.path(), (0, SIZE), seed).context(options)?;
        let indirect = number(&did, "indirect=")?;
        ensure!(
            (indirect > 0) == work.contains("indirect"),
            "{options}: {did}"
        );
        ensure!(number(&did, "flushes=")? == 1, "{options}: {did}");
        let did = frontend.obey(&format!("work {seed} read discard depth=1"))?;
        ensure!(number(&did, "discards=")? == 1, "{options}: {did}");
        frontend.obey("detach").context(options)?;
        frontend.end().context(options)?;
        scene.is_clean().context(options)?;
    }
    scene.end()
}

/// What is wrong is sent as it was said, and honest requests go on beside it.
pub(super) fn orders_are_obeyed(nest: &Nest) -> Result<()> {
    let scene = Scene::new(nest, "orders")?;
    let mut frontend = scene.frontend("")?;
    frontend.obey_all("attach; wait 2; connect; fill p0..11 5 0")?;
    let (read, write) = (0, 1);
    let wrong = [
        ("op=read id=0 nr=12 seg=p0", read, -1),
        ("op=read id=1 seg=p0:5-3", read, -1),
        ("op=read id=2 seg=p0:0-8", read, -1),
        ("op=read id=18446744073709551615 seg=g4294967295", read, -1),
        (
            "op=write id=4 sector=18446744073709551615 seg=p0",
            write,
            -1,
        ),
        ("op=write id=5 sector=1023 seg=p0:0-1", write, -1),
        (
            "op=indirect iop=read id=6 nr=4097 seg=p0 lists=p20",
            read,
            -1,
        ),
        ("op=4 id=7", 4, -2),
        ("op=255 id=8", 255, -2),
        ("op=write id=9 seg=p0..11", write, 0),
        (
            "op=indirect iop=write sector=88 id=9 seg=p0..16 lists=p20",
            write,
            0,
        ),
        ("raw=0101000000000000", write, -1),
    ];
    for (request, operation, status) in wrong {
        let said = frontend.ask(request)?;
        ensure!(
            (said.operation, said.status) == (operation, status),
            "{request}: {said:?}"
        );
        let id = number(request, "id=").unwrap_or(0);
        ensure!(said.id == id, "{request}: {said:?}");
    }
    scene.pages_are_taken_back(&mut frontend)?;
    scene.rings_are_odd(&mut frontend)?;
    frontend.end()?;
    scene.end()
}

impl Scene<'_> {
    /// Grants that are not what they should be fail alone.
    fn pages_are_taken_back(&self, frontend: &mut Frontend) -> Result<()> {
        let ask = |frontend: &mut Frontend, request: &str, status| {
            let said = frontend.ask(request)?;
            ensure!(said.status == status, "{request}: {said:?}");
            Ok(())
        };
        frontend.obey("byte p1..12 165")?;
        ask(frontend, "op=read seg=p1..12", 0)?;
        frontend.obey("check p1..12 5 0")?;
        frontend.refuses("check p1..12 6 0")?;
        let sum = frontend.obey("sum p1,p2,p3:0-3")?;
        let theirs = self.disk.sha256(self.nest, 0, 20 * 512)?;
        ensure!(sum == theirs, "{sum}, dom0 says {theirs}");
        frontend.obey("revoke p3")?;
        ask(frontend, "op=read seg=p3", -1)?;
        frontend.refuses("check p3 5 0")?;
        let read_only = frontend.obey("grant 1 ro")?;
        ensure!(read_only == "p32..33", "{read_only}");
        frontend.obey("fill p32 7 1000")?;
        ask(frontend, "op=write sector=1000 seg=p32", 0)?;
        ask(frontend, "op=read sector=0 seg=p32", -1)?;
        frontend.obey("grant 1 to=5")?;
        ask(frontend, "op=read seg=p33", -1)
    }

    /// A ring goes on until its index is impossible; then it does not, until it is made anew.
    fn rings_are_odd(&self, frontend: &mut Frontend) -> Result<()> {
        frontend.obey("push op=read seg=p4 times=32")?;
        let why = frontend.refuses("push op=read seg=p4")?;
        ensure!(why.contains("full"), "{why}");
        frontend.obey_all("quiet 200; submit")?;
        let ids: Vec<u64> = frontend.take()?.iter().map(|said| said.id).collect();
        ensure!(ids.len() == 32 && ids.contains(&31), "{ids:?}");
        frontend.obey_all("storm 100; quiet 100; jump 33; send op=read seg=p4; quiet 300")?;
        let indices = frontend.obey("indices")?;
        ensure!(
            number(&indices, "pushed=")? == number(&indices, "taken=")? + 1,
            "{indices}"
        );
        let late = frontend.refuses("take 1 200")?;
        ensure!(late.contains("0 of 1 responses"), "{late}");
        frontend.obey("close")?;
        frontend.obey("state 1")?;
        frontend.obey("connect")?;
        frontend.obey("work 9 depth=32")?;
        frontend.obey_all("force; attach; wait 2; publish event-channel=0; wait 5,6; force")
    }
}

/// Killed at any point, or told to end, it leaves nothing: not in xenstore, not in Linux.
pub(super) fn nothing_is_left(nest: &Nest) -> Result<()> {
    let scene = Scene::new(nest, "left")?;
    for orders in [
        "attach",
        "attach; wait 2; publish ring-ref=1; wait 5,6",
        "attach; connect; send op=read seg=p0 times=20",
    ] {
        for is_killed in [false, true] {
            let mut frontend = scene.frontend("")?;
            frontend.obey_all(orders)?;
            if is_killed {
                drop(frontend);
            } else {
                frontend.end().context(orders)?;
            }
            scene.is_clean().context(orders)?;
        }
    }
    let (mut first, mut second) = (scene.frontend("")?, scene.frontend("")?);
    first.obey("attach")?;
    let why = second.refuses("attach")?;
    ensure!(why.contains("stays") || why.contains("already"), "{why}");
    second.end()?;
    first.obey("connect").context("the other one was refused")?;
    first.end()?;
    scene.end()
}
