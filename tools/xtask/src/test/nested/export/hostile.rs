//! Frontends that lie (`tools/dom0/src/frontend`), against the shipped backend: each costs its own
//! export, while a good one, which dom0's Linux uses, goes on.

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::Guest;

use super::attached::{Attached, start};
use super::lifecycle::{Holdings, holdings};
use crate::test::nested::domain::wait_until;
use crate::test::nested::frontend::Frontend;

use std::time::Duration;

/// `xvdb`.
const XVDB: u32 = 51728;
/// Pages of a frontend, more than the backend keeps mapped, which is 1,056.
const MORE_THAN_STAY: usize = 104 * A_REQUEST;
/// Pages that a request names at most.
const A_REQUEST: usize = 11;
/// How long the domain may take to give everything back.
const SETTLED: Duration = Duration::from_secs(20);

/// A driver domain with a good client, and what it holds for that.
struct Scene<'nest> {
    nest: &'nest Nest,
    guest: Guest<'nest>,
    good: Attached<'nest>,
    sum: String,
    before: Holdings,
}

impl<'nest> Scene<'nest> {
    fn new(nest: &'nest Nest) -> Result<Self> {
        let mut guest = start(nest, &[])?;
        let made = guest.command("mdconfig -a -s 2M -L good")?;
        ensure!(made.contains("md1"), "{made}");
        let good = Attached::new(nest, "md1", "xvdf", "w")?;
        let sum = good.sha256()?;
        let before = holdings(&mut guest)?;
        Ok(Self {
            nest,
            guest,
            good,
            sum,
            before,
        })
    }

    /// Starts a frontend for the memory disk.
    fn frontend(&self, options: &str) -> Result<Frontend> {
        let options = format!("--params md0 {options}");
        Frontend::start(self.nest, self.guest.id()?, XVDB, &options)
    }

    /// The good client reads what it read before.
    fn good_one_goes_on(&self, what: &str) -> Result<()> {
        let sum = self.good.sha256()?;
        ensure!(sum == self.sum, "after {what}: {sum}, not {}", self.sum);
        Ok(())
    }

    /// Everything is as before, and nobody has died.
    fn end(mut self) -> Result<()> {
        self.good_one_goes_on("all of it")?;
        let only_one = |said: &str| (!said.contains("0/51728")).then_some(());
        wait_until(&mut self.guest, "exports", SETTLED, only_one)?;
        let after = holdings(&mut self.guest)?;
        ensure!(
            self.before == after,
            "before: {:?}\nafter: {after:?}",
            self.before
        );
        self.good.detach(false)?;
        self.guest.destroy()
    }
}

/// B01 to B06: requests that cannot be meant are answered with an error, those behind them are
/// served, and nothing that is not zero stands where no field is (B15).
pub(in crate::test::nested) fn b01_b06_requests_that_cannot_be_meant(nest: &Nest) -> Result<()> {
    let scene = Scene::new(nest)?;
    let mut frontend = scene.frontend("")?;
    frontend.obey_all("attach; connect; fill p0..11 5 0")?;
    let sectors = 24 * 2048;
    for (request, status) in [
        ("op=read id=1 nr=0 seg=p0".to_owned(), -1),
        ("op=read id=2 nr=12 seg=p0".to_owned(), -1),
        ("op=read id=3 nr=255 seg=p0".to_owned(), -1),
        ("op=read id=4 seg=p0:5-3".to_owned(), -1),
        ("op=read id=5 seg=p0:0-8".to_owned(), -1),
        ("op=read id=6 seg=p0:0-255".to_owned(), -1),
        ("op=read id=7 seg=g4294967295".to_owned(), -1),
        (
            "op=write id=8 sector=18446744073709551615 seg=p0".to_owned(),
            -1,
        ),
        (format!("op=write id=9 sector={} seg=p0", sectors - 7), -1),
        (format!("op=read id=10 sector={sectors} seg=p0"), -1),
        (
            "op=indirect iop=read id=11 nr=0 seg=p0 lists=p20".to_owned(),
            -1,
        ),
        (
            "op=indirect iop=read id=12 nr=4097 seg=p0 lists=p20".to_owned(),
            -1,
        ),
        (
            "op=indirect iop=barrier id=13 seg=p0 lists=p20".to_owned(),
            -1,
        ),
        (
            "op=indirect iop=read id=14 seg=p0 lists=g4294967295".to_owned(),
            -1,
        ),
        ("op=4 id=15".to_owned(), -2),
        ("op=255 id=16".to_owned(), -2),
        ("op=write id=17 seg=p0..11".to_owned(), 0),
        ("op=read id=18 seg=p0,p0:0-3".to_owned(), 0),
        ("op=barrier id=19 seg=p1".to_owned(), 0),
        ("op=flush id=20".to_owned(), 0),
    ] {
        let said = frontend.ask(&request)?;
        ensure!(said.status == status, "{request}: {said:?}");
        let id = request.split("id=").nth(1).unwrap_or_default();
        ensure!(id.starts_with(&said.id.to_string()), "{request}: {said:?}");
        ensure!(said.is_clean, "{request}: {said:?}");
    }
    scene.good_one_goes_on("odd requests")?;
    frontend.obey("revoke p3")?;
    ensure!(frontend.ask("op=write sector=64 seg=p3")?.status == -1);
    let read_only = frontend.obey("grant 1 ro")?;
    ensure!(read_only == "p32..33", "{read_only}");
    ensure!(frontend.ask("op=read seg=p32")?.status == -1);
    frontend.obey_all("work 9 depth=8; detach")?;
    frontend.end()?;
    let mut frontend = scene.frontend("--mode r")?;
    frontend.obey_all("attach; connect")?;
    ensure!(frontend.ask("op=write seg=p0")?.status == -1);
    ensure!(frontend.ask("op=read seg=p0")?.status == 0);
    frontend.obey("detach")?;
    frontend.end()?;
    scene.end()
}

/// C01, C05, C08, B10: an impossible index ends the export; events without a reason cost nothing;
/// pages and ports that go under requests, and frontends that go with requests under way, take
/// nothing with them. At most `count` of them.
pub(in crate::test::nested) fn c01_c08_b10_rings_and_pages_that_go(
    nest: &Nest,
    count: usize,
) -> Result<()> {
    let scene = Scene::new(nest)?;
    for orders in [
        "attach; connect; storm 20000; work 3; jump 33; wait 5,6; force",
        "attach; connect; send op=read seg=p0..11 times=32; revoke p0..11; force",
        "attach; connect; send op=read seg=p0..11 times=32; vanish",
        "attach; connect; push op=read seg=p0..11 times=32; submit; close; state 1; connect; \
         work 6; detach",
        "attach; connect; work 4 depth=32; prod 4294967295; wait 5,6; force",
        "attach; connect; send op=write seg=p0..11 times=32; unbind; force",
        "attach; connect; event 77; work 5 depth=4; detach",
    ]
    .into_iter()
    .take(count)
    {
        let mut frontend = scene.frontend("")?;
        frontend
            .obey_all(orders)
            .with_context(|| orders.to_owned())?;
        frontend.end().with_context(|| orders.to_owned())?;
        scene.good_one_goes_on(orders)?;
    }
    scene.end()
}

/// B12, B13: keys that make no sense are refused, at most `count` of them; states may jump as they
/// like.
pub(in crate::test::nested) fn b12_b13_keys_and_states(nest: &Nest, count: usize) -> Result<()> {
    let scene = Scene::new(nest)?;
    let mut frontend = scene.frontend("")?;
    for change in [
        "ring-page-order=5",
        "ring-ref=4294967295",
        "event-channel=99999",
        "protocol=mips-abi",
        "multi-queue-num-queues=4096",
        "ring-page-order=31",
        "ring-page-order=-1",
        "ring-page-order=4294967295",
        "ring-page-order=two",
        "num-ring-pages=3",
        "-ring-ref",
        "event-channel=0",
        "multi-queue-num-queues=0",
        "multi-queue-num-queues=2",
    ]
    .into_iter()
    .take(count)
    {
        frontend
            .obey_all(&format!(
                "attach; wait 2; publish {change}; wait 5,6; force"
            ))
            .with_context(|| change.to_owned())?;
    }
    scene.good_one_goes_on("odd keys")?;
    for orders in [
        "attach; state 4; wait 2,4,5,6; force",
        "attach; wait 2; state 6; wait 6; state 1; wait 2; connect; work 7; detach",
        "attach; wait 2; flood state 1,3,5,6,4,0,9 500; force",
        "attach; connect; work 8; detach",
    ] {
        // With ports of its own: what was connected before may keep those until they are closed.
        frontend.end()?;
        frontend = scene.frontend("")?;
        frontend
            .obey_all(orders)
            .with_context(|| orders.to_owned())?;
        scene.good_one_goes_on(orders)?;
    }
    frontend.end()?;
    scene.end()
}

/// B09: a frontend whose pages stay mapped may use more of them than the backend keeps, take back
/// some of either kind, and say in the middle that none are to stay. The first ones are mapped, so
/// the backend still reaches them; the last ones are not, and Xen refuses them.
pub(in crate::test::nested) fn b09_more_pages_than_stay_mapped(nest: &Nest) -> Result<()> {
    // Linux gives 1,024 by default.
    nest.check("echo 4096 > /sys/module/xen_gntalloc/parameters/limit")?;
    let scene = Scene::new(nest)?;
    let mut frontend = scene.frontend(&format!("--persistent --pages {MORE_THAN_STAY}"))?;
    frontend.obey_all("attach; connect")?;
    let requests = (0..MORE_THAN_STAY).step_by(A_REQUEST).map(|first| {
        let pages = format!("p{first}..{}", first + A_REQUEST);
        (pages, first * 8)
    });
    for (pages, sector) in requests.clone() {
        frontend.obey(&format!("fill {pages} 5 {sector}"))?;
        let said = frontend.ask(&format!("op=write sector={sector} seg={pages}"))?;
        ensure!(said.status == 0, "{pages} written: {said:?}");
    }
    for (pages, sector) in requests {
        frontend.obey(&format!("byte {pages} 0"))?;
        let said = frontend.ask(&format!("op=read sector={sector} seg={pages}"))?;
        ensure!(said.status == 0, "{pages} read: {said:?}");
        frontend.obey(&format!("check {pages} 5 {sector}"))?;
    }
    frontend.obey_all("set feature-persistent 0; revoke p0..11")?;
    let said = frontend.ask("op=read seg=p0..11")?;
    ensure!(said.status == 0, "pages that are mapped: {said:?}");
    let last = format!("p{}..{MORE_THAN_STAY}", MORE_THAN_STAY - A_REQUEST);
    frontend.obey(&format!("revoke {last}"))?;
    let said = frontend.ask(&format!("op=read seg={last}"))?;
    ensure!(said.status == -1, "pages that are not: {said:?}");
    frontend.obey_all(
        "close; state 1; wait 2; publish feature-persistent=0; wait 4; state 4; work 6; detach",
    )?;
    frontend.end()?;
    scene.end()
}
