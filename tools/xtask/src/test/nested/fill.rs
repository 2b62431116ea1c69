//! What the domain writes is what dom0 finds: `fill`'s pattern, computed here anew from its
//! description in the shell, where it was written and nowhere else.

use anyhow::{Context, Result, bail, ensure};
use lab::guest::{Guest, PROMPT};
use lab::{Disk, Nest, disk};
use sha2::{Digest as _, Sha256};

use super::domain::{SECOND, config, number, same_sum, start};
use super::partition::{MIB, gpt, parts};

/// On a disk and on a partition, in sectors of 512 and of 4096 bytes.
pub(super) fn fills_are_what_and_where_they_should(nest: &Nest) -> Result<()> {
    let disks = [
        gpt(nest, "fill-small", 512)?,
        gpt(nest, "fill-large", 4096)?,
    ];
    let mut guest = start(
        nest,
        "fill",
        &[
            disks[0].xl_quick("xvda", "w"),
            disks[1].xl_quick("xvdb", "w"),
        ],
    )?;
    for (unit, (disk, sector)) in disks.iter().zip([512, 4096]).enumerate() {
        let parts = parts(nest, disk)?;
        let (first, second) = (&parts[0], &parts[1]);
        let mut content = Content::of(nest, disk)?;
        let name = format!("xbd{unit}p2");
        let range = (second.offset, second.length);
        content.fill(&mut guest, (&name, None), range, 1)?;
        let part = Some((sector, MIB + sector));
        let range = (second.offset + sector, MIB + sector);
        content.fill(&mut guest, (&name, part), range, u64::MAX)?;
        let name = format!("xbd{unit}");
        let range = (first.offset + sector, 2 * MIB - sector);
        content.fill(&mut guest, (&name, Some(range)), range, 3)?;

        let said = guest.command(&format!("fill {name} 4 1 {sector}"))?;
        ensure!(said.contains("not whole sectors"), "{said}");
        let end = disk.bytes();
        let said = guest.command(&format!("fill {name} 4 {end} {sector}"))?;
        ensure!(said.contains("beyond its end"), "{said}");
        content.is_there().context("after fills that are refused")?;
    }
    guest.destroy()?;
    disks.into_iter().try_for_each(|disk| disk.remove(nest))
}

/// A disk that may not be written refuses with EROFS, and so do its partitions.
pub(super) fn read_only_is_refused(nest: &Nest) -> Result<()> {
    let disk = gpt(nest, "fill-never", 512)?;
    let before = disk.sha256(nest, 0, disk.bytes())?;
    let mut guest = start(nest, "readonly", &[disk.xl_quick("xvda", "r")])?;
    for name in ["xbd0", "xbd0p2"] {
        let said = guest.command(&format!("fill {name} 1"))?;
        ensure!(said.contains("EROFS"), "fill {name} said: {said}");
    }
    let all = (0, disk.bytes());
    same_sum(nest, &mut guest, "xbd0", &disk, all)?;
    guest.destroy()?;
    let after = disk.sha256(nest, 0, disk.bytes())?;
    ensure!(after == before, "a read-only disk was written");
    disk.remove(nest)
}

/// Without indirect segments, which dom0's backend is made to forget before the domain runs, and
/// on a disk that cannot flush.
pub(super) fn fills_with_little_support(nest: &Nest) -> Result<()> {
    let disk = gpt(nest, "fill-direct", 512)?;
    disk::ram_disks(nest, 1, 4 * MIB)?;
    let ram = "format=raw,vdev=xvdb,access=w,target=/dev/ram0".to_owned();
    let config = config(&[disk.xl_quick("xvda", "w"), ram]);
    let mut guest = start_direct(nest, "direct", &config)?;

    let said = guest.command("disk list")?;
    let of = |name: &str| said.lines().find(|line| line.starts_with(name));
    let max_io = |name: &str| -> Option<u64> { of(name)?.split_whitespace().nth(4)?.parse().ok() };
    let (direct, indirect) = (max_io("xbd0"), max_io("xbd1"));
    ensure!(
        direct == Some(11 * 4096) && indirect > direct,
        "11 segments of a page, and more: {said}"
    );
    let range = (MIB + 512, 3 * MIB + 1024);
    let all = (0, 4 * MIB);
    let mut content = Content::of(nest, &disk)?;
    content.fill(&mut guest, ("xbd0", Some(range)), range, 5)?;

    let said = guest.command("fill xbd1 6")?;
    ensure!(
        said.contains("not flushed: the device has no flush"),
        "{said}"
    );
    expect(nest, "/dev/ram0", all, 6)?;
    guest.destroy()?;
    nest.check("rmmod brd")?;
    disk.remove(nest)
}

/// Starts a domain whose first disk's backend does not offer indirect segments.
fn start_direct<'nest>(nest: &'nest Nest, name: &str, config: &str) -> Result<Guest<'nest>> {
    let path = format!("/run/lab/{name}.cfg");
    nest.put(&path, format!("name = \"{name}\"\n{config}").as_bytes())?;
    nest.check(&format!(
        "xl create -p {path} && \
         key=/local/domain/0/backend/vbd/$(xl domid {name})/51712/feature-max-indirect-segments && \
         xenstore-exists $key && xenstore-rm $key && xl unpause {name}"
    ))?;
    let mut guest = Guest::attach(nest, name)?;
    guest.wait_for("xenolith: ready", 30 * SECOND)?;
    guest.wait_for(PROMPT, 30 * SECOND)?;
    Ok(guest)
}

/// What must be on a disk.
struct Content<'a> {
    nest: &'a Nest,
    disk: &'a Disk,
    bytes: Vec<u8>,
}

impl<'a> Content<'a> {
    /// What is there.
    fn of(nest: &'a Nest, disk: &'a Disk) -> Result<Self> {
        let bytes = nest.get(&disk.path())?;
        let content = Self { nest, disk, bytes };
        content.is_there()?;
        Ok(content)
    }

    /// Fills `provider`, or a range of it, which is `range` of the disk. Dom0 must find the pattern
    /// there, and what it found before everywhere else.
    fn fill(
        &mut self,
        guest: &mut Guest<'_>,
        (provider, part): (&str, Option<(u64, u64)>),
        (offset, length): (u64, u64),
        seed: u64,
    ) -> Result<()> {
        let words = part.map_or_else(String::new, |(offset, length)| {
            format!(" {offset} {length}")
        });
        let said = guest.command(&format!("fill {provider} {seed}{words}"))?;
        ensure!(said.contains(" written, flushed, read back"), "{said}");
        let wrote = number(&said, &format!("{provider}:"))?;
        ensure!(wrote == length, "{said}");
        let start = usize::try_from(offset)?;
        let pattern = pattern(seed, length);
        self.bytes[start..start + pattern.len()].copy_from_slice(&pattern);
        self.is_there()
            .with_context(|| format!("fill {provider} {seed}{words}"))
    }

    /// Dom0 finds just this on the disk.
    fn is_there(&self) -> Result<()> {
        if self.disk.sha256(self.nest, 0, self.disk.bytes())? == sha256(&self.bytes) {
            return Ok(());
        }
        let found = self.nest.get(&self.disk.path())?;
        let differs = self.bytes.iter().zip(&found).position(|(a, b)| a != b);
        bail!(
            "{}: not what it must be from byte {differs:?}",
            self.disk.path()
        );
    }
}

/// Dom0 finds the seed's pattern in this range of `path`.
pub(super) fn expect(
    nest: &Nest,
    path: &str,
    (offset, length): (u64, u64),
    seed: u64,
) -> Result<()> {
    let found = disk::sha256(nest, path, offset, length)?;
    ensure!(
        found == sha256(&pattern(seed, length)),
        "{path}, {length} bytes at {offset}: not seed {seed}'s pattern"
    );
    Ok(())
}

/// As sha256sum writes it.
fn sha256(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The pattern of `kernel/shell/src/pattern.rs`. `length` is a multiple of 8.
fn pattern(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed;
    let words = (0..length / 8).map(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.flat_map(u64::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::{pattern, sha256};

    #[test]
    fn the_pattern_is_splitmix64() {
        let published = 6_457_827_717_110_365_317_u64;
        assert_eq!(pattern(1_234_567, 16)[..8], published.to_le_bytes());
    }

    #[test]
    fn sums_are_written_as_sha256sum_writes_them() {
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), published);
    }
}
