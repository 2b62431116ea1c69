//! A Xenolith domain in the nest, and what its shell says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lab::guest::{Guest, PROMPT};
use lab::{Disk, Nest};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How long a domain may take from `xl create` to its `ready`.
const READY: Duration = Duration::from_secs(30);

/// A config with these disks, in xl's words.
pub(super) fn config(disks: &[String]) -> String {
    let disks: Vec<String> = disks.iter().map(|disk| format!("\"{disk}\"")).collect();
    format!(
        "type = \"pv\"\nkernel = \"/root/xenolith\"\nmemory = 32\ndisk = [{}]\n",
        disks.join(", ")
    )
}

/// Starts a domain with these disks and waits until it is ready and its shell too.
pub(super) fn start<'nest>(
    nest: &'nest Nest,
    name: &str,
    disks: &[String],
) -> Result<Guest<'nest>> {
    start_config(nest, name, &config(disks))
}

/// Starts a domain and waits until it is ready and its shell too.
pub(super) fn start_config<'nest>(
    nest: &'nest Nest,
    name: &str,
    config: &str,
) -> Result<Guest<'nest>> {
    let mut guest = nest.create_guest(name, config)?;
    guest.wait_for("xenolith: ready", READY)?;
    guest.wait_for(PROMPT, READY)?;
    Ok(guest)
}

/// How long Xen may take until vCPUs run or not as xl was told.
const VCPUS: Duration = Duration::from_secs(30);

/// What each vCPU of a domain is, as `xl vcpu-list` has it: its state, and the seconds that it ran.
pub(super) fn vcpus(nest: &Nest, name: &str) -> Result<Vec<(String, f64)>> {
    let list = nest.check(&format!("xl vcpu-list {name} | tail -n +2"))?;
    let vcpu = |line: &str| {
        // Name, ID, VCPU, CPU, State, Time, and where it may run.
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(((*words.get(4)?).to_owned(), words.get(5)?.parse().ok()?))
    };
    let vcpus = list.lines().map(vcpu).collect::<Option<_>>();
    vcpus.with_context(|| format!("xl vcpu-list: {list}"))
}

/// Has `count` vCPUs of a domain run, and waits until they do, and no other.
pub(super) fn set_vcpus(nest: &Nest, name: &str, count: usize) -> Result<()> {
    nest.check(&format!("xl vcpu-set {name} {count}"))?;
    let deadline = Instant::now() + VCPUS;
    loop {
        let vcpus = vcpus(nest, name)?;
        let up = vcpus.iter().filter(|(state, _)| !state.ends_with('p'));
        if up.count() == count {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{count} are wanted: {vcpus:?}");
    }
}

/// What `sum` says of `what`: a provider, or one with offset and length.
pub(super) fn sum(guest: &mut Guest<'_>, what: &str) -> Result<String> {
    let said = guest.command(&format!("sum {what}"))?;
    let provider = what.split(' ').next().unwrap_or_default();
    said.lines()
        .find_map(|line| line.strip_suffix(&format!("  {provider}")))
        .filter(|sum| sum.len() == 64)
        .map(str::to_owned)
        .with_context(|| format!("sum {what} said: {said}"))
}

/// Holds the domain's sum of all of `provider` against dom0's of the same bytes of `disk`.
pub(super) fn same_sum(
    nest: &Nest,
    guest: &mut Guest<'_>,
    provider: &str,
    disk: &Disk,
    range: (u64, u64),
) -> Result<()> {
    same_sums(nest, guest, disk, &[provider.to_owned()], &[range])
}

/// Holds the domain's sum of each of `what` against dom0's of the same range of `disk`: an offset
/// and a length.
pub(super) fn same_sums(
    nest: &Nest,
    guest: &mut Guest<'_>,
    disk: &Disk,
    what: &[String],
    ranges: &[(u64, u64)],
) -> Result<()> {
    let all = disk.sha256_of_each(nest, ranges)?;
    for ((what, (offset, length)), theirs) in what.iter().zip(ranges).zip(all) {
        let ours = sum(guest, what)?;
        ensure!(
            ours == theirs,
            "{what}: {length} bytes at {offset}: {ours}, dom0 says {theirs}"
        );
    }
    Ok(())
}

/// The number behind `word` in what the shell `said`, such as 3 behind `granted:`.
pub(super) fn number(said: &str, word: &str) -> Result<u64> {
    let (_, rest) = said
        .split_once(word)
        .with_context(|| format!("no {word:?} in: {said}"))?;
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .with_context(|| format!("no number behind {word:?} in: {said}"))
}

/// Frames that are neither free nor heap by what the shell's `mem` said, in KiB.
pub(super) fn frames(mem: &str) -> Result<u64> {
    let free = mem.split(", ").nth(1).context("mem")?;
    Ok(number(mem, "memory:")? - number(free, "")? - number(mem, "heap:")?)
}

/// Waits until `found` finds something in the output of the shell's `command`, asking it again and
/// again.
pub(super) fn wait_until<T>(
    guest: &mut Guest<'_>,
    command: &str,
    limit: Duration,
    found: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let said = guest.command(command)?;
        if let Some(found) = found(&said) {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "{command} after {} s still says: {said}",
            limit.as_secs()
        );
        guest.watch(Duration::from_millis(200))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_words() {
        let said = "created: 12, gone: 3, live: 9\n";
        assert_eq!(number(said, "gone:").unwrap(), 3);
        assert_eq!(number(said, "live:").unwrap(), 9);
        assert!(number(said, "parked:").is_err());
        assert!(number("gone: many", "gone:").is_err());
    }

    #[test]
    fn a_config_names_its_disks_as_xl_wants_them() {
        let config = config(&["a".into(), "b".into()]);
        assert!(config.ends_with("disk = [\"a\", \"b\"]\n"));
    }
}
