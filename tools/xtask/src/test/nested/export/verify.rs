//! What is written through an export comes back, and lies where it should.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::Nest;
use lab::guest::Guest;

use super::attached::{Attached, start};
use crate::test::nested::domain::sum;
use crate::test::nested::partition::{gpt, parts};

/// What fio does, in every size.
const JOBS: &[&str] = &[
    "--rw=randrw --bsrange=512-64k --iodepth=16",
    "--rw=randwrite --bs=4k --iodepth=32",
    "--rw=write --bs=1M --iodepth=4",
    "--rw=randwrite --bssplit=4k/50:128k/40:1M/10 --iodepth=8 --fsync=64",
];
/// How long one job of fio may take here.
const JOB: Duration = Duration::from_secs(300);

/// The sums of a memory disk, a disk and a partition are the same in dom0, through the export, in
/// the domain, and on what lies below.
pub(in crate::test::nested) fn sums_are_the_same_on_both_sides(nest: &Nest) -> Result<()> {
    let disk = gpt(nest, "exported", 512)?;
    let mut guest = start(nest, &[disk.xl_quick("xvda", "w")])?;
    let parts = parts(nest, &disk)?;
    let whole = (0, disk.bytes());
    let part = (parts[1].offset, parts[1].length);
    for (target, range) in [("xbd0,ro", whole), ("xbd0p2", part)] {
        let access = if target.ends_with("ro") { "r" } else { "w" };
        let attached = Attached::new(nest, target, "xvdf", access)?;
        ensure!(attached.bytes()? == range.1, "{target}: size");
        let below = disk.sha256(nest, range.0, range.1)?;
        let through = attached.sha256()?;
        ensure!(through == below, "{target}: {through}, below {below}");
        attached.detach(false)?;
    }
    writes_go_through(nest, &mut guest)?;
    guest.destroy()?;
    disk.remove(nest)
}

/// What dom0 writes to the memory disk, the domain itself has.
fn writes_go_through(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    nest.check(&format!(
        "dd if=/dev/urandom of={} bs=1M oflag=direct conv=fsync status=none count={} \
         iflag=count_bytes,fullblock",
        attached.path(),
        attached.bytes()?
    ))?;
    let through = attached.sha256()?;
    attached.detach(false)?;
    let inside = sum(guest, "md0")?;
    ensure!(through == inside, "md0: {through}, inside {inside}");
    Ok(())
}

/// fio writes random blocks of every size and finds them again, on the memory disk and on a
/// partition of a disk that the domain has from dom0, through pages that stay mapped and through
/// copies by Xen; also with TRIM on the former. At most `count` jobs at each place; each writes and
/// reads `extent`, in fio's words, again and again until all have taken `time`.
pub(in crate::test::nested) fn fio_finds_what_it_wrote(
    nest: &Nest,
    count: usize,
    extent: &str,
    time: Duration,
) -> Result<()> {
    let begun = Instant::now();
    let mut seeds = 77_u32..;
    let disk = gpt(nest, "fio", 512)?;
    let mut guest = start(nest, &[disk.xl_quick("xvda", "w")])?;
    let made = guest.command("gnop create -q 20 -x 20 -d 5 md0")?;
    ensure!(made.contains("md0.nop"), "{made}");
    for (place, (target, persistent, jobs)) in [
        ("md0", true, JOBS),
        ("xbd0p2", true, JOBS),
        ("md0", false, &JOBS[..2]),
        ("xbd0p2", false, &JOBS[2..]),
        // Some of its requests take their time, so that they overtake each other.
        ("md0.nop", true, &JOBS[..2]),
    ]
    .into_iter()
    .enumerate()
    {
        use_persistent_grants(nest, persistent)?;
        let attached = Attached::new(nest, target, "xvdf", "w")?;
        loop {
            // Where there are few, not the same everywhere.
            let jobs = jobs.iter().cycle().skip(place).take(count.min(jobs.len()));
            for job in jobs {
                let seed = seeds.next().unwrap_or_default();
                verify(
                    nest,
                    &attached,
                    &format!("{job} {extent} --randseed={seed}"),
                )?;
            }
            if begun.elapsed() >= time.mul_f64((place + 1) as f64 / 5.0) {
                break;
            }
        }
        attached.detach(false)?;
    }
    errors_are_told(nest, &mut guest)?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    nest.check(&format!("blkdiscard {}", attached.path()))?;
    let zeros = nest.check(&format!(
        "dd if={} bs=1M iflag=direct status=none | tr -d '\\0' | wc -c",
        attached.path()
    ))?;
    ensure!(
        zeros.trim() == "0",
        "{zeros} bytes are left after a discard"
    );
    attached.detach(false)?;
    guest.destroy()?;
    disk.remove(nest)
}

/// Where one read in twenty fails below, dom0's read fails, and none brings what was not written.
fn errors_are_told(nest: &Nest, guest: &mut Guest<'_>) -> Result<()> {
    guest.command("gnop configure -r 5 md0.nop")?;
    let attached = Attached::new(nest, "md0.nop", "xvdf", "w")?;
    let job = "--rw=randwrite --bs=4k --iodepth=16 --size=2M --continue_on_error=read \
               --output-format=json";
    let said = verify(nest, &attached, job)?;
    let errors = said.lines().find(|line| line.contains("\"total_err\""));
    let none = errors.is_none_or(|line| line.contains(": 0,"));
    ensure!(!none, "no read failed: {said}");
    attached.detach(false)?;
    let destroyed = guest.command("gnop destroy md0.nop")?;
    ensure!(destroyed.is_empty(), "{destroyed}");
    Ok(())
}

/// Whether dom0 uses the same pages again and again, which stay mapped then, from the next disk on.
fn use_persistent_grants(nest: &Nest, yes: bool) -> Result<()> {
    let flag = if yes { 'Y' } else { 'N' };
    nest.check(&format!(
        "echo {flag} > /sys/module/xen_blkfront/parameters/feature_persistent"
    ))?;
    Ok(())
}

/// fio with `job`, its own words; returns what it says.
fn verify(nest: &Nest, attached: &Attached<'_>, job: &str) -> Result<String> {
    let line = format!(
        "fio --name=verify --filename={} --direct=1 --ioengine=libaio --thread {job} \
         --verify=crc32c --verify_fatal=1",
        attached.path()
    );
    let output = nest.run_for(&line, JOB)?;
    ensure!(output.success(), "{line}\n{output}");
    attached.refused_nothing()?;
    Ok(output.stdout)
}
