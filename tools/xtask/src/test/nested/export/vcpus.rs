//! Exports of a driver domain with two vCPUs: each has one of the two disks.

use anyhow::{Result, ensure};
use lab::guest::{Guest, Reason};
use lab::{Disk, Nest};

use super::attached::Attached;
use super::ending::{HEARD, dom0_is_well, is_answered, read_on};
use crate::test::nested::domain::{set_vcpus, start_config, vcpus};
use crate::test::nested::fio::found_what_it_wrote;
use crate::test::nested::partition::{gpt, parts};

/// Two disks, the second partition of each exported to dom0.
struct Setting<'nest> {
    guest: Guest<'nest>,
    disks: Vec<Disk>,
    attached: Vec<Attached<'nest>>,
}

impl<'nest> Setting<'nest> {
    fn new(nest: &'nest Nest) -> Result<Self> {
        nest.check("modprobe xen-blkfront")?;
        let disks = ["first", "second"].map(|name| gpt(nest, name, 512));
        let disks = disks.into_iter().collect::<Result<Vec<_>>>()?;
        let config = format!(
            "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = 64\nvcpus = 2\n\
             driver_domain = 1\ndisk = [\"{}\", \"{}\"]\n",
            disks[0].xl_quick("xvda", "w"),
            disks[1].xl_quick("xvdb", "w")
        );
        let guest = start_config(nest, "storage", &config)?;
        let attached = [("xbd0p2", "xvdf"), ("xbd1p2", "xvdg")]
            .map(|(target, vdev)| Attached::new(nest, target, vdev, "w"));
        Ok(Self {
            guest,
            disks,
            attached: attached.into_iter().collect::<Result<_>>()?,
        })
    }
}

/// Two exports keep what fio writes to both at once, while the second vCPU is taken away and given
/// back `rounds` times; both have worked.
pub(in crate::test::nested) fn both_serve_and_one_may_go(nest: &Nest, rounds: u32) -> Result<()> {
    let setting = Setting::new(nest)?;
    let mut writing = Vec::new();
    // Whole blocks of 4 KiB: where there is less at the end, fio writes some blocks twice.
    for attached in &setting.attached {
        writing.push(nest.spawn(&format!(
            "fio --name=verify --filename={} --direct=1 --ioengine=libaio --thread --rw=randwrite \
             --size=4m --bsrange=4k-64k --iodepth=8 --verify=crc32c --verify_fatal=1 --time_based \
             --runtime={}",
            attached.path(),
            10 + 3 * rounds
        ))?);
    }
    for _ in 0..rounds {
        set_vcpus(nest, "storage", 1)?;
        nest.check("sleep 0.5")?;
        set_vcpus(nest, "storage", 2)?;
        nest.check("sleep 0.5")?;
    }
    for writing in writing {
        let output = writing.wait()?;
        ensure!(output.success(), "fio: {output}");
        found_what_it_wrote(&output)?;
    }
    let vcpus = vcpus(nest, "storage")?;
    ensure!(vcpus.iter().all(|(_, ran)| *ran > 0.2), "{vcpus:?}");
    let Setting {
        guest,
        disks,
        attached,
    } = setting;
    for (disk, attached) in disks.iter().zip(attached) {
        let part = &parts(nest, disk)?[1];
        let through = attached.sha256()?;
        let below = disk.sha256(nest, part.offset, part.length)?;
        ensure!(through == below, "{through}, below {below}");
        attached.detach(false)?;
    }
    guest.destroy()?;
    disks.into_iter().try_for_each(|disk| disk.remove(nest))
}

/// The second vCPU dies while clients read from exports of both: what they asked for is answered
/// with errors, and the epitaph is that vCPU's.
pub(in crate::test::nested) fn clients_of_both_are_answered(nest: &Nest) -> Result<()> {
    let Setting {
        mut guest,
        disks,
        attached,
    } = Setting::new(nest)?;
    let mut reading = Vec::new();
    for attached in &attached {
        reading.push(read_on(nest, attached, "4k")?);
    }
    nest.check("xl trigger storage nmi 1")?;
    let reason = guest.wait_shutdown(HEARD)?;
    ensure!(reason == Reason::Crash, "it ended by {reason:?}");
    let console = guest.console()?;
    ensure!(console.contains("non-maskable interrupt"), "{console}");
    ensure!(
        console.contains("boot::domain::run_shards"),
        "whose epitaph? {console}"
    );
    for (attached, reading) in attached.iter().zip(reading) {
        is_answered(nest, attached, reading)?;
    }
    nest.run("xl block-detach --force 0 xvdg")?;
    dom0_is_well(nest)?;
    disks.into_iter().try_for_each(|disk| disk.remove(nest))
}
