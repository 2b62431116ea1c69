//! What dom0 put on disks is what the domain reads: disks partitioned by sgdisk and sfdisk, with
//! ext4 made by mkfs, in sectors of 512 and of 4096 bytes.

use anyhow::{Context, Result, ensure};
use lab::guest::Guest;
use lab::{Disk, Nest};

use super::domain::{config, same_sum, same_sums, start, start_config};
use super::partition::{MIB, Part, gpt, mbr, parts};

/// Every provider's sum is dom0's, and so are those of ranges.
pub(super) fn every_provider_has_dom0s_sum(nest: &Nest) -> Result<()> {
    let disks = [
        gpt(nest, "gpt-small", 512)?,
        gpt(nest, "gpt-large", 4096)?,
        mbr(nest, "mbr-small", 512)?,
        mbr(nest, "mbr-large", 4096)?,
    ];
    // Xen's own script sets up those of `xl-configs`.
    let on = |(disk, vdev): (&Disk, &str)| disk.xl_quick(vdev, "w");
    let vdevs = ["xvda", "xvdb", "xvdc", "xvdd"];
    let all: Vec<String> = disks.iter().zip(vdevs).map(on).collect();
    let mut guest = start(nest, "sums", &all)?;
    for (unit, disk) in disks.iter().enumerate() {
        let letter = if unit < 2 { 'p' } else { 's' };
        let parts = parts(nest, disk)?;
        ensure!(parts.len() >= 2, "{}: partitions", disk.path());
        let name = format!("xbd{unit}");
        let mut providers = vec![(name.clone(), (0, disk.bytes()))];
        for part in parts.iter().filter(|part| !part.is_extended) {
            let range = (part.offset, part.length);
            providers.push((format!("{name}{letter}{}", part.number), range));
        }
        let (names, ranges): (Vec<_>, Vec<_>) = providers.into_iter().unzip();
        same_sums(nest, &mut guest, disk, &names, &ranges)
            .with_context(|| guest.command("geom tree").unwrap_or_default())?;
        tree_has_no_more(&mut guest, &name, letter, &parts)?;
    }
    ranges(nest, &mut guest, "xbd0p2", &disks[0])?;
    ranges(nest, &mut guest, "xbd1p2", &disks[1])?;
    guest.destroy()?;
    disks.into_iter().try_for_each(|disk| disk.remove(nest))
}

/// A domain that xl hides AVX from does not use it: Xen would end it if it turned it on.
pub(super) fn without_avx_too(nest: &Nest) -> Result<()> {
    let disk = Disk::new(nest, "no-avx", MIB, 512)?;
    nest.check(&format!(
        "dd if=/dev/urandom of={} bs=1M count=1 status=none",
        disk.path()
    ))?;
    let text = format!(
        "{}cpuid = \"host,avx=0\"\n",
        config(&[disk.xl_quick("xvda", "w")])
    );
    let mut guest = start_config(nest, "no-avx", &text)?;
    let console = guest.console()?;
    ensure!(console.contains("copied by rep movsq"), "{console}");
    same_sum(nest, &mut guest, "xbd0", &disk, (0, disk.bytes()))?;
    guest.destroy()?;
    disk.remove(nest)
}

/// The domain has no partition that sfdisk does not know.
fn tree_has_no_more(guest: &mut Guest<'_>, disk: &str, letter: char, parts: &[Part]) -> Result<()> {
    let tree = guest.command("geom tree")?;
    let start = format!("{disk}{letter}");
    let numbers = tree
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(&start)?.parse::<u32>().ok());
    for number in numbers {
        ensure!(
            parts.iter().any(|part| part.number == number),
            "sfdisk knows no {start}{number}:\n{tree}"
        );
    }
    Ok(())
}

/// Ranges of a provider, at its edges, in its midst, and not in whole sectors.
fn ranges(nest: &Nest, guest: &mut Guest<'_>, provider: &str, disk: &Disk) -> Result<()> {
    let part = parts(nest, disk)?;
    let part = part.iter().find(|part| part.number == 2).context("no 2")?;
    let ranges = [
        (0, 4096),
        (part.length - 4096, 4096),
        (4096, 3 * MIB + 8192),
        (1, 1),
        (4095, 70_001),
        (part.length, 0),
    ];
    let what = ranges.map(|(offset, length)| format!("{provider} {offset} {length}"));
    let theirs = ranges.map(|(offset, length)| (part.offset + offset, length));
    same_sums(nest, guest, disk, &what, &theirs)?;
    let said = guest.command(&format!("sum {provider} {} 1", part.length))?;
    ensure!(said.contains("beyond its end"), "{said}");
    Ok(())
}
