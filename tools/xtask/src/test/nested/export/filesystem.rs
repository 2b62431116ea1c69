//! ext4 on an export, with trees of files; TRIM.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;
use lab::guest::Guest;

use super::attached::{Attached, start_with};

/// How long a tree may take to be written or read.
const PASS: Duration = Duration::from_secs(900);

/// A tree of files, and the memory disk for it.
pub(in crate::test::nested) struct Tree {
    /// Files, a hundred in a directory.
    pub files: u32,
    /// Bytes in all of them together, about: their lengths are random.
    pub mebibytes: u32,
    /// The size of the memory disk, in MiB.
    pub disk: u32,
}

/// dom0 makes a file system on an export, writes a tree of files from a seed, unmounts, checks it,
/// and finds every byte again after the next attach. What is deleted, and then everything, is given
/// back to the domain's memory by TRIM.
pub(in crate::test::nested) fn a_tree_survives(nest: &Nest, tree: &Tree) -> Result<()> {
    let Tree {
        files,
        mebibytes,
        disk,
    } = *tree;
    nest.put("/run/lab/tree", TREE.as_bytes())?;
    let mut guest = start_with(nest, disk + 40, &format!("md=ram:{disk}M"), &[])?;
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let path = attached.path();
    let inodes = files + files / 10 + 100;
    let tree = format!("{files} {}", u64::from(mebibytes) << 20);
    let meant = pass(
        nest,
        &format!(
            "mkfs.ext4 -q -N {inodes} {path}; mkdir -p /mnt; mount {path} /mnt; \
             python3 /run/lab/tree write /mnt {tree}; umount /mnt; fsck.ext4 -fn {path} >&2"
        ),
    )?;
    // Anew, so that nothing comes from dom0's memory.
    attached.detach(false)?;
    let full = used(&mut guest)?;
    ensure!(full >= u64::from(mebibytes) << 20, "{full} bytes are used");
    let attached = Attached::new(nest, "md0", "xvdf", "w")?;
    let found = pass(
        nest,
        &format!("mount {path} /mnt; python3 /run/lab/tree read /mnt {tree}"),
    )?;
    ensure!(found == meant, "written: {meant}, read: {found}");
    let trimmed = pass(
        nest,
        &format!("rm -r /mnt/*; sync; fstrim -v /mnt; umount /mnt; fsck.ext4 -fn {path} >&2"),
    )?;
    let empty = used(&mut guest)?;
    // What is left is the file system's own.
    ensure!(
        full - empty >= (u64::from(mebibytes) << 20) / 10 * 9,
        "of {full} bytes {empty} are left after: {trimmed}"
    );
    pass(nest, &format!("blkdiscard {path}"))?;
    let nothing = used(&mut guest)?;
    ensure!(nothing == 0, "{nothing} bytes are left after blkdiscard");
    attached.detach(false)?;
    guest.destroy()
}

/// Runs a line whose every command must succeed; returns what it prints.
fn pass(nest: &Nest, line: &str) -> Result<String> {
    let said = nest.run_for(&format!("set -e; {line}"), PASS)?;
    ensure!(said.success(), "{line}\n{said}");
    Ok(said.stdout)
}

/// The bytes of memory that the memory disk has.
fn used(guest: &mut Guest<'_>) -> Result<u64> {
    let said = guest.command("mdconfig -l")?;
    let used = said
        .lines()
        .filter_map(|line| line.strip_prefix("md0"))
        .find_map(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    used.with_context(|| said.clone())
}

/// `write` makes files from a seed and prints the sum of what it meant to write; `read` prints the
/// sum of what is there.
const TREE: &str = "\
import hashlib, os, random, sys
what, top, count, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(77)
total = hashlib.sha256()
for number in range(count):
    folder = f'{top}/{number // 100}'
    name = f'{folder}/{number}'
    length = random.randrange(2 * size // count)
    if what == 'write':
        os.makedirs(folder, exist_ok=True)
        data = random.randbytes(length)
        with open(name, 'wb') as file:
            file.write(data)
    else:
        random.randbytes(length)
        with open(name, 'rb') as file:
            data = file.read()
    total.update(f'{number} {len(data)} '.encode() + data)
print(total.hexdigest())
";
