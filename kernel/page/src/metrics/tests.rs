//! What a strict reader of the format makes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::example;
use crate::metrics::families::metrics;

/// Samples by series, and the kind of each family; panics at whatever the format does not allow.
fn read(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(
                !help.is_empty() && helped.insert(name.to_string()),
                "{line}"
            );
            current = name.into();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "HELP comes first");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert_eq!(
                kinds.insert(name.to_string(), kind.to_string()),
                None,
                "{line}"
            );
        } else {
            let (series, name) = series(line);
            let base = if kinds[&current] == "histogram" {
                let cut = ["_bucket", "_sum", "_count"].iter();
                cut.filter_map(|end| name.strip_suffix(end))
                    .next()
                    .expect("a suffix")
            } else {
                &name
            };
            assert_eq!(base, current, "samples follow their family");
            let value = &line[series.len() + 1..];
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            assert_eq!(samples.insert(series, value.into()), None, "twice: {line}");
        }
    }
    (samples, kinds)
}

/// The series of a sample, with its labels, and its name.
fn series(line: &str) -> (String, String) {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = line.chars().take_while(|c| letter(*c)).collect();
    assert!(name.starts_with("xenolith_"), "{line}");
    let mut rest = &line[name.len()..];
    let mut labels = BTreeSet::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(!label.is_empty() && label.chars().all(letter), "{line}");
            assert!(labels.insert(label.to_string()), "{line}");
            let mut escaped = false;
            let end = after.find(|c| {
                let ends = c == '"' && !escaped;
                assert!(!escaped || "\\\"n".contains(c), "{line}");
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = &after[end.expect("a label's end") + 1..];
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => break rest = &rest[1..],
                _ => panic!("{line}"),
            }
        }
    }
    assert!(rest.starts_with(' '), "{line}");
    (line[..line.len() - rest.len()].into(), name)
}

#[test]
fn a_strict_reader_takes_all_of_it() {
    let snapshot = example::snapshot();
    let (samples, kinds) = read(&metrics(&snapshot));
    assert!(kinds.len() > 30, "{}", kinds.len());
    let export = "{frontend=\"3\",device=\"51712\",provider=\"xbd0p2\"}";
    let reads = snapshot.facts.exports[0].statistics.reads.to_string();
    assert_eq!(
        samples[&format!("xenolith_export_reads_total{export}")],
        reads
    );
    assert_eq!(samples["xenolith_network_up{interface=\"xn0\"}"], "1");
    assert_eq!(samples["xenolith_uptime_seconds"], "273906.123456789");
    let device = "{end=\"front\",kind=\"vbd\",number=\"51712\",peer=\"0\"}";
    assert_eq!(samples[&format!("xenolith_device_state{device}")], "4");
}

#[test]
fn histograms_only_grow_and_end_with_everything() {
    let snapshot = example::snapshot();
    let text = metrics(&snapshot);
    read(&text);
    let of_first = |line: &&str| line.contains("provider=\"xbd0p2\"");
    let buckets: Vec<(f64, u64)> = text
        .lines()
        .filter(|line| line.starts_with("xenolith_export_latency_seconds_bucket"))
        .filter(of_first)
        .map(|line| {
            let (_, rest) = line.split_once("le=\"").unwrap();
            let (bound, count) = rest.split_once("\"} ").unwrap();
            (bound.parse().unwrap(), count.parse().unwrap())
        })
        .collect();
    assert_eq!(buckets.len(), blkback::statistics::LATENCY_CLASSES);
    assert!(buckets.is_sorted());
    let all: u64 = snapshot.facts.exports[0]
        .statistics
        .latency
        .classes()
        .iter()
        .sum();
    assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, all));
}

#[test]
fn names_of_others_are_escaped() {
    let mut snapshot = example::snapshot();
    snapshot.facts.exports[0].provider = "a\"b\\c\nd}".into();
    snapshot.name = "\\".into();
    let (samples, _) = read(&metrics(&snapshot));
    let escaped = "provider=\"a\\\"b\\\\c\\nd}\"";
    assert!(samples.keys().any(|series| series.contains(escaped)));
}

#[test]
fn nothing_is_there_twice_while_a_disk_leaves_and_comes() {
    let mut snapshot = example::snapshot();
    let again = snapshot.disks[0].clone();
    snapshot.disks.push(again);
    read(&metrics(&snapshot));
    read(&metrics(&example::empty()));
}
