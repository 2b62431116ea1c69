//! A strict reader of Prometheus' text format, version 0.0.4: what `promtool check metrics` would
//! find fault with is an error here (prometheus.io, "Exposition formats").
//!
//! - `line`: one line
//! - `family`: the samples of one name, and what must hold among them

mod family;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use family::Family;
use line::Line;

/// Names of labels and their values.
pub(super) type Labels = BTreeMap<String, String>;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// All that a page of metrics says.
#[derive(Debug)]
pub(super) struct Metrics(Vec<Family>);

impl Metrics {
    /// Reads a page.
    pub(super) fn parse(text: &str) -> Result<Self> {
        ensure!(text.ends_with('\n'), "the last line has no end");
        let mut families: Vec<Family> = Vec::new();
        for text in text.split_terminator('\n') {
            let line = line::parse(text).with_context(|| format!("line {text:?}"))?;
            add(&mut families, line).with_context(|| format!("line {text:?}"))?;
        }
        let mut names = BTreeSet::new();
        for family in &families {
            let name = family.name();
            ensure!(names.insert(name), "{name} is in two places");
            family.check().with_context(|| name.to_owned())?;
        }
        Ok(Self(families))
    }

    /// The samples of this name.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        let samples = self.0.iter().flat_map(Family::samples);
        samples.filter(move |sample| sample.name == name)
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().flat_map(Family::samples).count()
    }
}

/// Adds a line to the last family, or begins another with it.
fn add(families: &mut Vec<Family>, line: Line) -> Result<()> {
    let Some(name) = line.name() else {
        return Ok(()); // a comment
    };
    if !families.last().is_some_and(|last| last.takes(name)) {
        families.push(Family::new(name));
    }
    match families.last_mut() {
        Some(last) => last.add(line),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    const GOOD: &str = "\
# A comment.
# HELP x_requests_total What was asked: a \\\\ and a \\n.
# TYPE x_requests_total counter
x_requests_total{export=\"a \\\"b\\\"\",mode=\"r\"} 3
x_requests_total{export=\"c\",mode=\"r\"} 1e3 1700000000000
# HELP x_memory_bytes Memory.
# TYPE x_memory_bytes gauge
x_memory_bytes -1.5
# HELP x_latency_seconds Time.
# TYPE x_latency_seconds histogram
x_latency_seconds_bucket{le=\"0.1\"} 1
x_latency_seconds_bucket{le=\"+Inf\"} 3
x_latency_seconds_sum 2.5
x_latency_seconds_count 3
";

    #[test]
    fn a_good_page_is_read() {
        let metrics = Metrics::parse(GOOD).unwrap();
        assert_eq!(metrics.len(), 7);
        let asked: Vec<f64> = metrics.of("x_requests_total").map(|s| s.value).collect();
        assert_eq!(asked, [3.0, 1000.0]);
        let first = metrics.of("x_requests_total").next().unwrap();
        assert_eq!(first.labels["export"], "a \"b\"");
    }

    #[test]
    fn what_promtool_finds_fault_with_is_refused() {
        let bad = [
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes 1.5x"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes  "),
            ("\nx_memory_bytes -1.5", "\nx-memory 1"),
            (
                "\nx_memory_bytes -1.5",
                "\nx_memory_bytes 1\nx_memory_bytes 2",
            ),
            (
                "\nx_memory_bytes -1.5",
                "\nx_memory_bytes{a=\"1\",a=\"2\"} 1",
            ),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes{a=\"1} 1"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes{a=\"\\t\"} 1"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes{__a=\"1\"} 1"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes 1\r"),
            ("\nx_memory_bytes -1.5", "\nx_memory_bytes 1\n\nx_other 1"),
            (
                "\nx_memory_bytes -1.5",
                "\nx_memory_bytes 1\nx_requests_total 1",
            ),
            ("# HELP x_memory_bytes Memory.\n", ""),
            ("# TYPE x_memory_bytes gauge\n", ""),
            ("bytes gauge", "bytes gouge"),
            ("x_requests_total", "x_requests"),
            ("\"} 1e3", "\"} -1"),
            ("le=\"+Inf\"} 3", "le=\"1\"} 3"),
            ("le=\"+Inf\"} 3", "le=\"+Inf\"} 0"),
            ("_count 3", "_count 4"),
            ("x_latency_seconds_sum 2.5\n", ""),
            ("_count 3\n", "_count 3"),
        ];
        for (good, bad) in bad {
            let text = GOOD.replace(good, bad);
            assert_ne!(text, GOOD, "{good:?}");
            assert!(Metrics::parse(&text).is_err(), "{bad:?}");
        }
    }
}
