//! PART as a class: a table becomes providers `xbd0p1`, `xbd0s1`, `xbd0s5`.

use super::guid::PartitionType;
use super::parse::parse;
use super::reason::Reason;
use super::table::{DiskId, Partition, Scheme, State, Table};
use crate::class::{self, Class, Slice, Verdict};
use crate::media::{Media, Need};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// How many partition tables may lie inside each other. FreeBSD has no limit, but a disk written to
/// hurt could nest thousands.
pub const DEPTH_MAX: usize = 3;

/// The class of partition tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part;

impl Class for Part {
    fn name(&self) -> &'static str {
        "PART"
    }

    fn taste(&self, media: &Media, outer: &[&'static str]) -> Result<Verdict, Need> {
        let schemes = || outer.iter().filter_map(|name| scheme(name));
        if schemes().count() >= DEPTH_MAX {
            return Ok(Verdict::NotMine);
        }
        Ok(match parse(media, schemes().next())? {
            None => Verdict::NotMine,
            Some(table) if table.state() == State::Rejected => {
                Verdict::Damaged(format!("{}, table rejected", words(table.reasons())))
            }
            Some(table) => Verdict::Mine(slices(&table)),
        })
    }
}

fn scheme(name: &str) -> Option<Scheme> {
    [Scheme::Gpt, Scheme::Mbr]
        .into_iter()
        .find(|scheme| scheme_name(*scheme) == name)
}

fn scheme_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Gpt => "GPT",
        Scheme::Mbr => "MBR",
    }
}

fn words(reasons: &[Reason]) -> String {
    reasons
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn slices(table: &Table) -> class::Table {
    let disk = match table.disk() {
        DiskId::Gpt(guid) => guid.to_string(),
        DiskId::Mbr(id) => format!("{id:08x}"),
    };
    let mut config = vec![("state", table.state().to_string()), ("disk", disk)];
    let notes = words(table.reasons());
    if !notes.is_empty() {
        config.push(("reason", notes.clone()));
    }
    class::Table {
        scheme: scheme_name(table.scheme()),
        defect: (table.state() == State::Corrupt).then_some(notes),
        slices: table
            .partitions()
            .iter()
            .map(|part| slice(table.scheme(), part))
            .collect(),
        config,
    }
}

fn slice(scheme: Scheme, partition: &Partition) -> Slice {
    let letter = match scheme {
        Scheme::Gpt => 'p',
        Scheme::Mbr => 's',
    };
    let mut config = vec![("type", partition.kind.to_string())];
    match partition.kind {
        PartitionType::Gpt(guid) => config.push(("rawtype", guid.to_string())),
        PartitionType::Mbr(byte) => config.push(("rawtype", byte.to_string())),
    }
    if !partition.label.is_empty() {
        config.push(("label", partition.label.clone()));
    }
    if let Some(uuid) = partition.uuid {
        config.push(("rawuuid", uuid.to_string()));
    }
    if partition.attributes != 0 {
        config.push(("attributes", format!("{:#x}", partition.attributes)));
    }
    if partition.active {
        config.push(("active", String::from("1")));
    }
    Slice {
        suffix: format!("{letter}{}", partition.index),
        index: partition.index,
        start: partition.start,
        length: partition.length,
        config,
    }
}
