//! The page in a browser: Chromium on the host, through the nest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;

use super::node::{self, ADDRESS, NBD};
use crate::project;
use crate::test::nested::domain::{SECOND, start_config, wait_until};
use crate::test::program;

/// How long Chromium may take.
const LIMIT: Duration = Duration::from_secs(180);
/// What the domain is called, which dom0 attaches its exports by.
const NAME: &str = "net-browser";

/// Two exports that dom0 has attached, and a disk with two partitions, are on the page as Chromium
/// has it, and it paints something. The picture is kept.
pub(in crate::test::nested) fn chromium_shows_the_page(nest: &Nest) -> Result<()> {
    nest.network()?;
    let words = "md=first:16M md=second:8M page=80 nbd=first:md0";
    let config = node::config(&node::vif(""), &format!("{} {words}", node::STATIC));
    let mut guest = start_config(nest, NAME, &format!("{config}driver_domain = 1\n"))?;
    node::wait_for_address(&mut guest, ADDRESS)?;
    node::answers(nest, ADDRESS)?;
    nest.check(&format!(
        "set -e; truncate -s 16M /tmp/disk; \
         sgdisk -n 1:2048:+4M -c 1:stone -n 2:0:0 -c 2:sand /tmp/disk >/dev/null; \
         nbdcopy --allocated /tmp/disk {NBD}/first; rm /tmp/disk"
    ))?;
    wait_until(&mut guest, "geom tree", 20 * SECOND, |said| {
        said.contains("md0p2").then_some(())
    })?;
    for (vdev, target) in [("xvdf", "md0p2"), ("xvdg", "second")] {
        nest.check(&format!(
            "xl block-attach 0 'format=raw,vdev={vdev},access=rw,backend={NAME},target={target}'"
        ))?;
    }
    nest.check(
        "for disk in xvdf xvdg; do \
         for i in {1..50}; do size=$(blockdev --getsize64 /dev/$disk 2>/dev/null); \
         [ \"0$size\" = 0 ] || break; sleep 0.1; done; \
         dd if=/dev/$disk of=/dev/null bs=1M count=2 iflag=direct; done",
    )?;
    let forward = nest.forward(ADDRESS)?;
    let picture = pictures()?.join("page.png");
    let dom = chromium(&forward.url(), &picture)?;
    for word in [
        "md0p1", "md0p2", "md1", "stone", "sand", "first", "second", "<svg",
    ] {
        ensure!(
            dom.contains(word),
            "no {word:?} in what Chromium has:\n{dom}"
        );
    }
    // A page without anything compresses to almost nothing.
    let blank = pictures()?.join("blank.png");
    chromium("about:blank", &blank)?;
    let (found, empty) = (fs::metadata(&picture)?.len(), fs::metadata(&blank)?.len());
    fs::remove_file(blank)?;
    ensure!(
        found > 3 * empty,
        "{found} bytes of picture; an empty one has {empty}"
    );
    println!("      {}: {found} bytes", picture.display());
    for vdev in ["xvdf", "xvdg"] {
        nest.check(&format!("xl block-detach 0 {vdev}"))?;
    }
    guest.destroy()
}

/// The document of `url` as it is after its scripts ran, and a picture of it.
fn chromium(url: &str, picture: &Path) -> Result<String> {
    let profile = pictures()?.join("chromium");
    let mut dom = String::new();
    let screenshot = format!("--screenshot={}", picture.display());
    for what in ["--dump-dom", &screenshot] {
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .args(["--disable-dev-shm-usage", "--window-size=1280,1800"])
            .args(["--virtual-time-budget=8000", "--log-level=3"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args([what, url]);
        let ended = program::run(&command, LIMIT)?;
        let good = ended.status.is_some_and(|status| status.success());
        ensure!(
            good,
            "chromium {what} {url}: {:?}\n{}",
            ended.status,
            ended.text
        );
        if what == "--dump-dom" {
            dom = ended.text;
        }
    }
    fs::remove_dir_all(&profile).context("removing Chromium's profile")?;
    Ok(dom)
}

/// Where pictures are kept.
fn pictures() -> Result<PathBuf> {
    let folder = project::root().join("target/lab");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
