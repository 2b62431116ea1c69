//! How fast it boots, beside GRUB's PV image and a Linux guest, in interleaved rounds in one nest.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::{Disk, Nest};

use super::figures::Figures;
use super::guests::{GUESTS, prepare_linux};
use crate::image::build;
use crate::nest::{self, Choice};

/// Rounds; the median of each guest counts.
const ROUNDS: u32 = 5;
/// The program that measures, in dom0.
const PROGRAM: &str = include_str!("boot.py");
/// How long it may take on the host's clock.
const LIMIT: Duration = Duration::from_secs(1200);

/// What is asked of the ratios: the guest measured, its peer, what is compared, and the most that
/// the ratio may be.
const GOALS: [(&str, &str, Kind, f64); 4] = [
    ("xenolith", "linux", Kind::Total, 1.0 / 12.0),
    ("xenolith", "grub", Kind::Total, 1.0),
    ("xenolith-disk", "grub-disk", Kind::Total, 1.1),
    ("xenolith-disk", "grub-disk", Kind::Alone, 1.1),
];

/// Which of a guest's figures.
#[derive(Clone, Copy)]
enum Kind {
    /// From the start of `xl create` to the marker.
    Total,
    /// From `xl unpause` to the marker.
    Alone,
}

/// One guest's figures.
#[derive(Default)]
struct Boot {
    total: Figures,
    create: Figures,
    alone: Figures,
}

impl Boot {
    fn median(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Total => self.total.median(),
            Kind::Alone => self.alone.median(),
        }
    }
}

/// Measures and prints.
pub(crate) fn command(choice: Choice) -> Result<ExitCode> {
    build::command()?;
    let nest = nest::boot(&choice.options())?;
    let boots = read(&measure(&nest)?)?;
    println!("\nmilliseconds, smallest/median/largest of {ROUNDS} interleaved rounds");
    println!(
        "{:14} {:>20} {:>20} {:>20}",
        "guest", "xl create to marker", "xl create returns", "unpause to marker"
    );
    for guest in &GUESTS {
        let boot = boots.get(guest.name).context("a guest was not measured")?;
        println!(
            "{:14} {:>20} {:>20} {:>20}",
            guest.name, boot.total, boot.create, boot.alone
        );
    }
    println!("\nratios of the medians");
    for (name, peer, kind, most) in GOALS {
        let ratio = boots[name].median(kind) / boots[peer].median(kind);
        let what = match kind {
            Kind::Total => "xl create to marker",
            Kind::Alone => "unpause to marker",
        };
        let verdict = if ratio <= most { "met" } else { "MISSED" };
        println!("{name} / {peer}, {what}: {ratio:.3} (at most {most:.3} is asked: {verdict})");
    }
    Ok(ExitCode::SUCCESS)
}

/// Boots every guest in every round; returns what the measuring program prints.
fn measure(nest: &Nest) -> Result<String> {
    let disk = Disk::new(nest, "bench", 64 << 20, 512)?;
    nest.check(&format!("sgdisk -n 1:2048:0 {} >/dev/null", disk.path()))?;
    prepare_linux(nest)?;
    nest.put("/root/bench/boot.py", PROGRAM.as_bytes())?;
    let mut arguments = String::new();
    for guest in &GUESTS {
        guest.prepare(nest, &disk)?;
        arguments.push(' ');
        arguments.push_str(&guest.argument());
    }
    let output = nest.run_for(
        &format!("python3 /root/bench/boot.py {ROUNDS}{arguments}"),
        LIMIT,
    )?;
    anyhow::ensure!(output.success(), "the measurement failed: {output:?}");
    Ok(output.stdout)
}

/// Sorts the lines `NAME TOTAL CREATE ALONE` by guest.
fn read(lines: &str) -> Result<BTreeMap<String, Boot>> {
    let mut boots: BTreeMap<String, Boot> = BTreeMap::new();
    for line in lines.lines() {
        let mut words = line.split_whitespace();
        let name = words
            .next()
            .with_context(|| format!("no guest in {line:?}"))?;
        let mut next = || -> Result<f64> {
            let word = words
                .next()
                .with_context(|| format!("too few figures in {line:?}"))?;
            word.parse().with_context(|| format!("no figure: {word:?}"))
        };
        let boot = boots.entry(name.to_owned()).or_default();
        boot.total.add(next()?);
        boot.create.add(next()?);
        boot.alone.add(next()?);
    }
    Ok(boots)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn figures_are_sorted_by_guest() {
        let boots = read("a 1 2 3\nb 10 20 30\na 3 4 5\n").unwrap();
        assert_eq!(boots["a"].total.to_string(), "1/2/3");
        assert_eq!(boots["b"].alone.median(), 30.0);
        assert!(read("a 1 2\n").is_err());
    }
}
