//! What an administrator should look at.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use exec::Level;
use geom::Tasted;
use geom::disk::DiskState;
use xenbus::state::XenbusState;

use crate::snapshot::Snapshot;
use crate::text::percent;

/// The most that are told.
const MOST: usize = 16;
/// Percent of the memory that should be free.
const FREE: u64 = 5;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Bad,
    /// Something is not as it should be.
    Odd,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a line.
    pub text: String,
}

/// Everything that should be looked at, the worst first.
#[must_use]
pub fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let mut all = Vec::new();
    graph(snapshot, &mut all);
    peers(snapshot, &mut all);
    domain(snapshot, &mut all);
    all.sort_by_key(|finding| finding.severity);
    all.truncate(MOST);
    all
}

fn bad(all: &mut Vec<Finding>, text: String) {
    let severity = Severity::Bad;
    all.push(Finding { severity, text });
}

fn odd(all: &mut Vec<Finding>, text: String) {
    let severity = Severity::Odd;
    all.push(Finding { severity, text });
}

fn graph(snapshot: &Snapshot, all: &mut Vec<Finding>) {
    for disk in &snapshot.disks {
        if !matches!(disk.state, DiskState::Queued | DiskState::Live) {
            bad(all, format!("disk {} is {}", disk.name, disk.state));
        }
    }
    for provider in &snapshot.providers {
        if let Some(errno) = provider.error {
            bad(all, format!("{} is lost: {errno}", provider.name));
        }
        match provider.tasted {
            Tasted::Failed(errno) => {
                bad(
                    all,
                    format!(
                        "{} could not be read for its tables: {errno}",
                        provider.name
                    ),
                );
            }
            Tasted::Late => odd(all, format!("{} has not answered yet", provider.name)),
            _ => {}
        }
    }
    for geom in &snapshot.geoms {
        if let Some(defect) = &geom.defect {
            odd(all, format!("{} {}: {defect}", geom.class, geom.name));
        }
    }
}

fn peers(snapshot: &Snapshot, all: &mut Vec<Finding>) {
    for device in &snapshot.devices.all {
        let end = if device.is_backend {
            "export"
        } else {
            "device"
        };
        let (kind, number, peer) = (&device.kind, &device.number, &device.peer);
        let name = format!("{end} {kind}/{number} of domain {peer}");
        if !device.error.is_empty() {
            bad(all, format!("{name}: {}", device.error));
        } else if !device.is_backend && device.state != XenbusState::Connected {
            odd(all, format!("{name} is {}", device.state));
        }
    }
    for export in &snapshot.facts.exports {
        let name = format!("export {} to domain {}", export.provider, export.frontend);
        let counts = &export.statistics;
        if counts.errors > 0 {
            bad(all, format!("{name}: {} requests failed", counts.errors));
        }
        if counts.refused > 0 {
            odd(
                all,
                format!("{name}: {} requests made no sense", counts.refused),
            );
        }
    }
    for interface in &snapshot.interfaces {
        if !interface.up {
            odd(all, format!("interface {} is down", interface.name));
        } else if interface.addresses.is_empty() && interface.source != "off" {
            odd(all, format!("interface {} has no address", interface.name));
        }
    }
}

fn domain(snapshot: &Snapshot, all: &mut Vec<Finding>) {
    let memory = &snapshot.facts.memory;
    let free = percent(memory.free as u64, memory.total as u64);
    if free < FREE {
        odd(all, format!("{free} % of the memory is free"));
    }
    if snapshot.counters.dropped_bios + snapshot.counters.late_entries > 0 {
        bad(
            all,
            String::from("GEOM has met a driver's bug: please report it"),
        );
    }
    let error = |line: &&alloc::rc::Rc<exec::Line>| line.level == Level::Error;
    if let Some(line) = snapshot.log.iter().rev().find(error) {
        odd(
            all,
            format!("the log has an error: {}: {}", line.part, line.text),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    fn texts(snapshot: &Snapshot) -> Vec<String> {
        findings(snapshot).into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn a_domain_in_order_has_nothing_to_look_at() {
        assert_eq!(texts(&example::snapshot()), [""; 0]);
    }

    #[test]
    fn whatever_is_wrong_is_told() {
        let mut snapshot = example::snapshot();
        snapshot.disks[0].state = DiskState::Failing;
        snapshot.facts.exports[0].statistics.errors = 3;
        snapshot.facts.exports[1].statistics.refused = 2;
        snapshot.devices.all[0].state = XenbusState::Closing;
        snapshot.devices.all[1].error = "no room".into();
        snapshot.interfaces[0].up = false;
        snapshot.facts.memory.free = 1;
        snapshot.geoms[1].defect = Some("the backup is bad".into());
        snapshot.providers[0].error = Some(geom::Errno::NoDevice);
        let told = texts(&snapshot);
        assert_eq!(told.len(), 9, "{told:?}");
        assert!(
            told[0].contains("xbd0 is failing"),
            "the worst first: {told:?}"
        );
        let all = told.join("\n");
        for part in [
            "requests failed",
            "made no sense",
            "Closing",
            "no room",
            "xn0 is down",
            "0 % of the memory",
            "backup is bad",
            "lost: ENXIO",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let mut snapshot = example::snapshot();
        let mut disk = snapshot.disks[0].clone();
        disk.state = DiskState::Draining;
        snapshot.disks = vec![disk; 100];
        assert_eq!(findings(&snapshot).len(), MOST);
    }
}
