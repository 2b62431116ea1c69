//! A driver domain that is started anew, in order and after a crash, while its clients use it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::guest::{Guest, PROMPT, Reason};
use lab::{Disk, Nest};

use super::attached::Attached;
use super::lifecycle::nothing_hangs;
use crate::test::nested::domain::start_config;
use crate::test::nested::linux;

/// Where dom0 has the client's kernel and initrd.
const FOLDER: &str = "/root/restart";
const MODULES: &str = "crc32c_generic xen-blkfront";
/// The tool, in dom0.
pub(in crate::test::nested) const TOOL: &str = "/root/reattach";
/// The disk that must survive.
const BYTES: u64 = 24 << 20;
/// How long the client may take to boot, or for what it does between two restarts.
const CLIENT: Duration = Duration::from_secs(180);
/// How long the driver domain may take to end, and to be there again.
const RESTART: Duration = Duration::from_secs(60);
/// How long the tool may take: it waits longer for what does not come.
const REATTACH: Duration = Duration::from_secs(180);

/// How the driver domain ends.
#[derive(Clone, Copy, Debug)]
pub(in crate::test::nested) enum End {
    /// The first half of the rounds by `reattach reboot`, the others by `xl shutdown` and
    /// `xl create`.
    Orderly,
    /// By a panic; xl makes it anew.
    Crash,
}

/// A Linux guest writes to a disk of dom0's that the driver domain serves on, with fio that
/// verifies, while the driver domain is started anew `rounds` times; dom0 is a client too. Each
/// time the tool gives both their disks again, nobody waits for ever, and what was flushed is
/// there.
pub(in crate::test::nested) fn clients_outlive_it(
    nest: &Nest,
    end: End,
    rounds: u32,
) -> Result<()> {
    prepare(nest)?;
    let disk = Disk::new(nest, "survives", BYTES, 512)?;
    let config = format!(
        "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = 64\ndriver_domain = 1\n\
         cmdline = \"md=ram:8M\"\ndisk = [\"{}\"]\n\
         on_reboot = \"restart\"\non_crash = \"restart\"\n",
        disk.xl_quick("xvda", "w")
    );
    let mut storage = start_config(nest, "storage", &config)?;
    let named = format!("name = \"storage\"\n{config}");
    nest.put(&format!("{FOLDER}/storage.cfg"), named.as_bytes())?;
    Attached::new(nest, "md0", "xvdf", "w")?;
    let config = format!(
        "type = \"pv\"\nkernel = \"{FOLDER}/kernel\"\nramdisk = \"{FOLDER}/initrd\"\n\
         memory = 512\nvcpus = 1\ncmdline = \"console=hvc0 quiet ROUNDS={rounds}\"\n\
         disk = [\"format=raw,vdev=xvda,access=rw,backend=storage,target=xbd0\"]\n"
    );
    let mut client = nest.create_guest("client", &config)?;
    for round in 0..rounds {
        client.wait_for(&format!("CLIENT-LOADED {round}"), CLIENT)?;
        let before = storage.id()?;
        let restarted = if matches!(end, End::Orderly) && round >= rounds.div_ceil(2) {
            create_anew(nest, &mut storage)
        } else {
            restart(nest, &mut storage, end)
        };
        restarted.with_context(|| format!("restart {round}"))?;
        ensure!(storage.id()? != before, "it is another domain");
        Attached::existing(nest, "xvdf")?.sha256()?;
        client.wait_for(&format!("CLIENT-VERIFIED {}", round + 1), CLIENT)?;
        nothing_hangs(nest)?;
    }
    client.wait_for("CLIENT-DONE", CLIENT)?;
    let reason = client.wait_shutdown(CLIENT)?;
    ensure!(reason == Reason::Poweroff, "the client ended by {reason:?}");
    client.wait_gone(CLIENT)?;
    Attached::existing(nest, "xvdf")?.detach(false)?;
    storage.destroy()?;
    disk.remove(nest)?;
    nest.check(&format!("rm -r {FOLDER} {TOOL}"))?;
    Ok(())
}

/// Puts the tool into dom0, and the client's kernel and initrd.
fn prepare(nest: &Nest) -> Result<()> {
    nest.check("modprobe xen-blkfront")?;
    nest.put(TOOL, &lab::program("reattach")?)?;
    linux::prepare(nest, FOLDER, include_bytes!("restart.sh"), MODULES)?;
    let script = format!("{FOLDER}/fio.sh");
    nest.put(&script, include_bytes!("restart-fio.sh"))?;
    let packed = nest.run_for(&format!("bash {script} {FOLDER}"), CLIENT)?;
    ensure!(packed.success(), "{packed}");
    Ok(())
}

/// Ends the driver domain, and gives its clients to the next one.
pub(in crate::test::nested) fn restart(
    nest: &Nest,
    storage: &mut Guest<'_>,
    end: End,
) -> Result<()> {
    let expected = match end {
        End::Orderly => {
            reattach(nest, "reboot storage")?;
            Reason::Reboot
        }
        End::Crash => {
            storage.send("crash\r")?;
            Reason::Crash
        }
    };
    let reason = storage.wait_shutdown(RESTART)?;
    ensure!(reason == expected, "it ended by {reason:?}");
    is_back(storage)?;
    if matches!(end, End::Crash) {
        reattach(nest, "restore --to storage")?;
    }
    // What is back stays as it is.
    reattach(nest, "restore --to storage")
}

/// Ends the driver domain and makes another one, which may be of another image or config, and gives
/// it the clients of the first.
fn create_anew(nest: &Nest, storage: &mut Guest<'_>) -> Result<()> {
    reattach(nest, &format!("save storage {FOLDER}/notes"))?;
    let line = format!("xl shutdown -ww storage && xl create {FOLDER}/storage.cfg");
    let said = nest.run_for(&line, RESTART)?;
    ensure!(said.success(), "{line}: {said}");
    is_back(storage)?;
    reattach(nest, &format!("restore {FOLDER}/notes"))?;
    // What is back stays as it is.
    reattach(nest, "restore --to storage")
}

/// Waits for the next driver domain.
fn is_back(storage: &mut Guest<'_>) -> Result<()> {
    storage.reconnect();
    storage.wait_for("xenolith: ready", RESTART)?;
    storage.wait_for(PROMPT, RESTART)?;
    Ok(())
}

fn reattach(nest: &Nest, words: &str) -> Result<()> {
    let said = nest.run_for(&format!("{TOOL} {words}"), REATTACH)?;
    ensure!(said.success(), "reattach {words}: {said}");
    Ok(())
}
