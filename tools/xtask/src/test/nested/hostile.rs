//! Backends that lie, or can do little. Ours plays them: the device that is lied to fails alone,
//! says why in the log and in xenstore, and all it had comes back, while a disk on dom0's own
//! backend reads right before, meanwhile and after.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::Nest;

use self::scene::{SIZE, Scene, XVDB, XVDC};
use super::domain::{SECOND, number};

mod scene;

/// A backend that has nothing to offer but its disk, and every other set of features.
pub(super) fn honest_backends_of_every_kind(nest: &Nest) -> Result<()> {
    let mut scene = Scene::new(nest, "honest")?;
    // Options, what the fill says, and what the backend must and must not have been asked for.
    let kinds = [
        (
            "--flush --ring-order 2 --sector-size 4096",
            "flushed",
            "indirect= flushes=",
            "barriers=",
        ),
        ("--flush --indirect 0", "flushed", "flushes=", "indirect="),
        ("--barrier", "flushed", "barriers=", "flushes="),
        ("--flush --ring-order 0", "flushed", "flushes=", "barriers="),
        (
            "--indirect 0 --ring-order 0",
            "not flushed: the device has no flush",
            "requests=",
            "indirect= flushes= barriers=",
        ),
    ];
    for (seed, (options, flushed, asked, never)) in kinds.iter().enumerate() {
        let mut peer = scene.attach_ready(options)?;
        let said = scene.guest.command(&format!("fill xbd1 {seed}"))?;
        let all = format!("xbd1: {SIZE} bytes at 0 written, {flushed}, read back");
        let sum = format!("{}  xbd1", scene.true_sum()?);
        ensure!(
            said.contains(&all) && said.contains(&sum),
            "{options}: {said}, not {sum}"
        );
        let served = peer.obey("served")?;
        for word in asked.split(' ') {
            ensure!(number(&served, word)? > 0, "{options}: {served}");
        }
        for word in never.split(' ') {
            ensure!(number(&served, word)? == 0, "{options}: {served}");
        }
        let entries = if options.contains("order 0") {
            32
        } else if options.contains("order 2") {
            128
        } else {
            512
        };
        ensure!(number(&served, "ring=")? == entries, "{options}: {served}");
        peer.obey("detach").context(*options)?;
        scene.end_peer(peer).context(*options)?;
    }
    scene.end()
}

/// F01, F03, C01: an answer to nothing, or to something else, ends the device. F04: one with an odd
/// status does not. At most `count` cases of each kind.
pub(super) fn f01_f03_f04_c01_false_answers(nest: &Nest, count: usize) -> Result<()> {
    let mut scene = Scene::new(nest, "answers")?;
    let unknown = "which is not outstanding";
    for (order, why) in [
        ("lie id 5", unknown),
        (
            "lie operation 1",
            "it answered operation 1 to a request for operation 0",
        ),
        ("jump 1000", "rsp_prod is"),
        ("lie id 18446744073709551615", unknown),
    ]
    .into_iter()
    .take(count)
    {
        let mut peer = scene.attach_ready("")?;
        peer.obey(order)?;
        if order.starts_with("lie") {
            let said = scene.guest.command("sum xbd1")?;
            ensure!(said.contains("sum: xbd1: E"), "{order}: {said}");
        }
        scene.has_failed_alone(why).context(order)?;
        scene.end_peer(peer).context(order)?;
    }
    f04_odd_status(&mut scene, count)?;
    scene.end()
}

/// F04: a status that is none is an error of that request, and of no other.
fn f04_odd_status(scene: &mut Scene<'_>, count: usize) -> Result<()> {
    let mut peer = scene.attach_ready("")?;
    for status in [-3, 1, 0x7fff, -32768].into_iter().take(count) {
        peer.obey(&format!("lie status {status}"))?;
        let said = scene.guest.command("sum xbd1")?;
        ensure!(said.contains("sum: xbd1: EIO"), "{status}: {said}");
        scene.good_disk_goes_on()?;
        peer.obey("lie nothing")?;
        scene
            .reads_right()
            .with_context(|| format!("after status {status}"))?;
    }
    scene.end_peer(peer)
}

/// F08, F09: a disk that cannot be, in at most `count` ways.
pub(super) fn f08_f09_absurd_sizes(nest: &Nest, count: usize) -> Result<()> {
    let mut scene = Scene::new(nest, "sizes")?;
    for (key, why) in [
        (
            "sectors=18446744073709551615",
            "sectors are more than any disk has",
        ),
        ("sector-size=511", "a sector size of 511 is not"),
        ("sectors=1001 --sector-size 4096", "are no multiple of 4096"),
        ("sectors=-1", "\"-1\" is"),
        ("sector-size=0", "a sector size of 0 is not"),
        (
            "sector-size=2147483648",
            "a sector size of 2147483648 is not",
        ),
    ]
    .into_iter()
    .take(count)
    {
        let peer = scene.attach(&format!("--key {key}"))?;
        scene.has_failed_alone(why).context(key)?;
        scene.end_peer(peer).context(key)?;
    }
    let mut empty = scene.attach("--key sectors=0")?;
    scene.wait_for_log("xbd1: no medium")?;
    scene.good_disk_goes_on()?;
    empty.obey("detach")?;
    scene.end_peer(empty)?;

    let mut growing = scene.attach_ready("")?;
    growing.obey("set sectors 18446744073709551615")?;
    growing.obey("set state 4")?;
    scene.has_failed_alone("sectors are more than any disk has")?;
    scene.end_peer(growing)?;
    scene.end()
}

/// F14: states in no order that makes sense, or none. F25: nodes that vanish, or lead elsewhere, to
/// at most `count` places.
pub(super) fn f14_f25_odd_states_and_places(nest: &Nest, count: usize) -> Result<()> {
    let mut scene = Scene::new(nest, "states")?;
    let silent_since = Instant::now();
    let silent = scene.attach_as(XVDC, "--states 1")?;

    let connected = scene.attach("--states 4")?;
    scene.wait_for_state(XVDB, 6).context("Connected at once")?;
    scene.wait_for_log("xbd1: the backend is not new")?;
    scene.good_disk_goes_on()?;
    connected.end()?;

    let oscillating = scene.attach("--states 2,4,5,6,1,4,2,6 --repeat 100 --state-time 2")?;
    scene.good_disk_goes_on()?;
    scene.guest.watch(4 * SECOND)?;
    scene.good_disk_goes_on()?;
    oscillating.end()?;
    scene.wait_for("disk list", "live: 1")?;

    let mut closing = scene.attach_ready("")?;
    closing.obey("freeze")?;
    closing.obey("set state 5")?;
    scene
        .wait_for_state(XVDB, 6)
        .context("Closing, then silence")?;
    scene.wait_for("disk list", "live: 1")?;
    scene.good_disk_goes_on()?;
    closing.end()?;

    f25_vanishes(&mut scene)?;
    f25_elsewhere(&mut scene, count)?;

    // Meanwhile a frontend has lost patience with the silent one.
    let left = (silent_since + Duration::from_secs(20)).duration_since(Instant::now());
    scene.guest.watch(left)?;
    scene.wait_for("dmesg", "the backend does not connect: it is Initialising")?;
    scene.end_peer(silent)?;
    scene.end()
}

/// The backend's directory vanishes: the same as a forced detach.
fn f25_vanishes(scene: &mut Scene<'_>) -> Result<()> {
    let mut peer = scene.attach_ready("")?;
    peer.obey("vanish")?;
    scene.wait_for_state(XVDB, 6)?;
    scene.wait_for("disk list", "live: 1")?;
    ensure!(
        scene.held()? > 0,
        "what the backend still maps is in use again"
    );
    scene.good_disk_goes_on()?;
    scene.end_peer(peer)
}

/// The frontend's node does not lead to its backend.
fn f25_elsewhere(scene: &mut Scene<'_>, count: usize) -> Result<()> {
    for link in [
        "/local/domain/1/backend/qdisk/0/51728",
        "/local/domain/0/backend/../../../tool",
        "/local/domain/0/backend/qdisk/0/51728",
        "..",
    ]
    .into_iter()
    .take(count)
    {
        let peer = scene.attach(&format!("--link {link}"))?;
        scene
            .has_failed_alone("is not this device's backend")
            .context(link)?;
        scene.end_peer(peer).context(link)?;
    }
    Ok(())
}

/// C09, F17: pages that the backend keeps are not used again until it lets go. C05: events without
/// a reason cost only time.
pub(super) fn c05_c09_f17_storms_and_pages_kept(nest: &Nest) -> Result<()> {
    let mut scene = Scene::new(nest, "keeps")?;
    let mut peer = scene.attach_ready("--keep 4")?;
    peer.obey("detach")?;
    scene.wait_for("disk list", "live: 1")?;
    ensure!(
        scene.held()? > 4,
        "four requests' pages and the ring are kept"
    );
    scene.good_disk_goes_on()?;
    scene.guest.watch(SECOND)?;
    ensure!(scene.held()? > 4, "they still are");
    peer.obey("release")?;
    scene.end_peer(peer)?;

    let mut storm = scene.attach_ready("")?;
    storm.tell("storm 30000")?;
    let start = Instant::now();
    scene.good_disk_goes_on()?;
    let time = start.elapsed();
    ensure!(
        time < 10 * SECOND,
        "the good disk took {time:?} in the storm"
    );
    storm.answer()?;
    let events = scene.guest.command("events")?;
    let line = events.lines().find(|line| line.ends_with(" xbd1"));
    let spurious = line.and_then(|line| line.split_whitespace().nth(2));
    ensure!(spurious.is_some_and(|count| count != "0"), "{events}");
    scene.reads_right()?;
    storm.obey("detach")?;
    scene.end_peer(storm)?;
    scene.end()
}
