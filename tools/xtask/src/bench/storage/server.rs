//! A contender's domain, and its exports as disks of dom0.

use anyhow::{Context, Result, ensure};
use lab::{Guest, Nest};
use std::time::Duration;

use super::contender::{Contender, Disks, EXPORT_MIB, MEMORY_MIB};

const DATA: (&str, &str) = ("/root/bench/data.py", include_str!("data.py"));
/// What the programs share.
const XEN: (&str, &str) = ("/root/bench/xen.py", include_str!("xen.py"));
const LIFECYCLE: (&str, &str) = ("/root/bench/lifecycle.py", include_str!("lifecycle.py"));
/// What a step of a life, or going through an export once, may take on dom0's clock.
pub(super) const LIMIT: Duration = Duration::from_secs(180);
/// Names of disks that one contender may use.
const DISKS: u32 = 17;

/// Puts the programs into dom0, and disks of dom0's own for `count` domains to export again.
pub(super) fn prepare(nest: &Nest, count: usize) -> Result<()> {
    for (path, program) in [DATA, LIFECYCLE, XEN] {
        nest.put(path, program.as_bytes())?;
    }
    lab::disk::ram_disks(
        nest,
        u32::try_from(count)?,
        u64::from(EXPORT_MIB) * 1024 * 1024,
    )
}

/// Runs the program that times lives; its figures.
pub(super) fn timed(nest: &Nest, words: &str) -> Result<Vec<f64>> {
    let line = format!("python3 {} {words}", LIFECYCLE.0);
    let output = nest.run_for(&line, LIMIT)?;
    ensure!(output.success(), "in dom0: {line}\n{output}");
    let figure = |word: &str| word.parse().with_context(|| format!("no figure: {word:?}"));
    output.stdout.split_whitespace().map(figure).collect()
}

/// A running driver domain.
pub(super) struct Server<'nest> {
    nest: &'nest Nest,
    pub contender: &'static Contender,
    /// Which of the contenders it is.
    number: u32,
    guest: Guest<'nest>,
    /// Its domain.
    pub id: u32,
}

impl<'nest> Server<'nest> {
    /// Starts it, with dom0's RAM disk of its number and the NVMe controller at `controller`, and
    /// waits until it serves.
    pub(super) fn start(
        nest: &'nest Nest,
        contender: &'static Contender,
        number: u32,
        controller: Option<&str>,
    ) -> Result<Self> {
        // Xen's own script takes many seconds here, and this is not what is measured.
        let vbd =
            format!("format=raw,script=/run/lab/block,vdev=xvda,access=rw,target=/dev/ram{number}");
        let name = contender.name;
        let disks = Disks {
            vbd: Some(&vbd),
            controller,
        };
        let config = contender.config(name, MEMORY_MIB, EXPORT_MIB, disks);
        let mut guest = nest.create_guest(name, &config)?;
        guest.wait_for(contender.marker(), LIMIT)?;
        let id = guest.id()?;
        Ok(Self {
            nest,
            contender,
            number,
            guest,
            id,
        })
    }

    /// Attaches what `target` names to dom0.
    pub(super) fn attach(&self, target: &str, number: u32, access: &str) -> Result<Export<'nest>> {
        let vdev = vdev(self.number * DISKS + number);
        let name = self.contender.name;
        let times = timed(
            self.nest,
            &format!("attach {name} {target} {vdev} {access}"),
        )?;
        let [attached, first_read, used] = times[..] else {
            anyhow::bail!("no times of an attach: {times:?}");
        };
        Ok(Export {
            nest: self.nest,
            server: name,
            vdev,
            attached,
            first_read,
            used,
        })
    }

    /// Whether dom0's own disk, which the domain exports again, has this sum.
    pub(super) fn check_disk(&self, mib: u32, sum: &str) -> Result<()> {
        let disk = format!("/dev/ram{}", self.number);
        let found = data(self.nest, &format!("sum {disk} {mib}"))?;
        ensure!(
            found == sum,
            "{disk} has other bytes than were written through the export"
        );
        Ok(())
    }

    /// Ends it. Nothing of it may be attached: a read that is never answered would hang dom0.
    pub(super) fn end(self) -> Result<()> {
        self.guest.destroy()
    }
}

/// A disk of dom0's that a contender serves.
pub(super) struct Export<'nest> {
    nest: &'nest Nest,
    server: &'nest str,
    vdev: String,
    /// Milliseconds that `xl block-attach` took.
    pub attached: f64,
    /// Milliseconds from its start to the end of the first read.
    pub first_read: f64,
    /// Milliseconds of CPU time that the domain used until then.
    pub used: f64,
}

impl Export<'_> {
    /// Its device in dom0.
    pub(super) fn device(&self) -> String {
        format!("/dev/{}", self.vdev)
    }

    /// Fills the first `mib` MiB from a seed, and reads them back; their sum.
    pub(super) fn fill(&self, seed: u32, mib: u32) -> Result<String> {
        let written = data(self.nest, &format!("fill {seed} {} {mib}", self.device()))?;
        ensure!(
            self.sum(mib)? == written,
            "{} reads as it was not written",
            self.device()
        );
        Ok(written)
    }

    /// The sum of the first `mib` MiB.
    pub(super) fn sum(&self, mib: u32) -> Result<String> {
        data(self.nest, &format!("sum {} {mib}", self.device()))
    }

    /// Detaches it; the milliseconds it took, and those of CPU time that the domain used.
    pub(super) fn detach(self) -> Result<[f64; 2]> {
        let times = timed(self.nest, &format!("detach {} {}", self.server, self.vdev))?;
        let times = times.try_into().ok();
        times.context("no times of a detach")
    }
}

fn data(nest: &Nest, words: &str) -> Result<String> {
    let line = format!("python3 {} {words}", DATA.0);
    let output = nest.run_for(&line, LIMIT)?;
    ensure!(output.success(), "in dom0: {line}\n{output}");
    Ok(output.stdout.trim().to_owned())
}

/// The name of disk `number`: xvda to xvdz, then xvdaa and so on.
fn vdev(number: u32) -> String {
    let letter = |number: u32| char::from(b'a' + u8::try_from(number % 26).unwrap_or_default());
    match number / 26 {
        0 => format!("xvd{}", letter(number)),
        more => format!("xvd{}{}", letter(more - 1), letter(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::vdev;

    #[test]
    fn disks_are_named_as_linux_names_them() {
        let names = [0, 1, 25, 26, 27, 51, 52].map(vdev);
        assert_eq!(
            names,
            ["xvda", "xvdb", "xvdz", "xvdaa", "xvdab", "xvdaz", "xvdba"]
        );
    }
}
