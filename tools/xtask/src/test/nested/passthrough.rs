//! A disk of QEMU's, an NVMe controller with an IOMMU before it, that is passed through.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::guest::Guest;
use lab::{Nest, Options};

use super::domain::{SECOND, start_config, sum};
use super::export::attached::Attached;
use super::export::ending::{is_answered, read_on};
use crate::nest::nvme;

/// The config that this looks at, but for the controller's place here.
pub(super) const CONFIG: &str = "nvme.cfg";
/// The disk's bytes.
const BYTES: u64 = 32 << 20;
/// How long the disk may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(60);
/// The domain's name.
const NAME: &str = "storage";

/// A nest with such a disk.
///
/// # Panics
/// If there is no room for the disk's file.
#[expect(
    clippy::expect_used,
    reason = "a nest without its disk would test nothing"
)]
pub(super) fn options() -> Options {
    Options {
        qemu_arguments: nvme::arguments(1, BYTES).expect("room for the disk's file"),
        ..Options::default()
    }
}

/// What dom0 wrote is what the domain reads; dom0 writes to an export of it and finds what it
/// wrote; the disk is pulled in use and is gone once; put in again it is what it was, is written
/// to through an export again, and dom0 finds that.
pub(super) fn a_disk_is_passed_through(nest: &Nest) -> Result<()> {
    nest.check("modprobe -a nvme xen-pciback xen-blkfront")?;
    let controllers = nvme::controllers(nest)?;
    let device = controllers.first().context("no NVMe controller")?;
    let written = nest.run_for(
        &format!(
            "set -e; for i in {{1..100}}; do [ ! -b /dev/nvme0n1 ] || break; sleep 0.1; done; \
             head -c {BYTES} /dev/urandom >/dev/nvme0n1; sync; \
             sha256sum </dev/nvme0n1; xl pci-assignable-add {device}"
        ),
        PATIENCE,
    )?;
    ensure!(written.success(), "{written}");
    let config = nest.check(&format!(
        "sed 's/^pci = .*/pci = [\"{device}\"]/' /root/xl-configs/{CONFIG}"
    ))?;
    let mut guest = start_config(nest, NAME, &config)?;
    let listed = guest.command("pciconf -l")?;
    ensure!(listed.contains("nvme"), "{listed}");
    let inside = sum(&mut guest, "nvd0")?;
    ensure!(
        written.stdout.starts_with(&inside),
        "{inside}, dom0 wrote {written}"
    );
    fio(nest)?;
    let inside = sum(&mut guest, "nvd0")?;
    pulled(nest, &mut guest, device)?;
    nest.check(&format!("xl pci-attach {NAME} {device}"))?;
    guest.wait_for("nvd0: ", PATIENCE)?;
    let again = sum(&mut guest, "nvd0")?;
    ensure!(again == inside, "{inside} has become {again}");
    fio(nest)?;
    let inside = sum(&mut guest, "nvd0")?;
    let console = guest.console()?;
    let gone = console.matches("geom: nvd0 gone").count();
    ensure!(gone == 1, "gone {gone} times: {console}");
    guest.destroy()?;
    let back = nest.run_for(
        &format!(
            "set -e; xl pci-assignable-remove -r {device}; \
             for i in {{1..100}}; do [ ! -b /dev/nvme0n1 ] || break; sleep 0.1; done; \
             sha256sum </dev/nvme0n1"
        ),
        PATIENCE,
    )?;
    ensure!(back.stdout.starts_with(&inside), "{inside}, dom0: {back}");
    Ok(())
}

/// dom0 writes to an export of it, and finds what it wrote.
fn fio(nest: &Nest) -> Result<()> {
    let attached = Attached::new(nest, "nvd0", "xvdf", "w")?;
    let line = format!(
        "fio --name=nvme --filename={} --direct=1 --ioengine=libaio --thread --rw=randwrite \
         --bsrange=4k-256k --iodepth=16 --fsync=32 --verify=crc32c --verify_fatal=1 --size=16M",
        attached.path()
    );
    let said = nest.run_for(&line, 200 * SECOND)?;
    ensure!(said.success(), "{said}");
    attached.refused_nothing()?;
    attached.detach(false)
}

/// The disk leaves while dom0 reads an export of it, many blocks at a time: all reads are answered.
fn pulled(nest: &Nest, guest: &mut Guest<'_>, device: &str) -> Result<()> {
    let attached = Attached::new(nest, "nvd0", "xvdf", "r")?;
    let reading = read_on(nest, &attached, "1m")?;
    let detached = nest.run_for(&format!("xl pci-detach {NAME} {device}"), PATIENCE)?;
    ensure!(detached.success(), "{detached}");
    guest
        .wait_for("geom: nvd0 gone", PATIENCE)
        .context("pulled in use")?;
    is_answered(nest, &attached, reading)?;
    // dom0 hears of it through xenstore.
    let deadline = Instant::now() + PATIENCE;
    while attached.bytes()? != 0 {
        ensure!(Instant::now() < deadline, "dom0 still has the disk");
    }
    attached.detach(false)
}
