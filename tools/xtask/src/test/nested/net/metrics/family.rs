//! The samples of one name, and what must hold among them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::line::Line;
use super::{Labels, Sample};

/// What samples of one name are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Samples that belong together, with what is said of them.
#[derive(Debug)]
pub(super) struct Family {
    name: String,
    help: bool,
    kind: Option<Kind>,
    samples: Vec<Sample>,
}

impl Family {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            help: false,
            kind: None,
            samples: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Whether a line about this name belongs to it: a histogram's have suffixes.
    pub(super) fn takes(&self, name: &str) -> bool {
        let Some(suffix) = name.strip_prefix(&self.name) else {
            return false;
        };
        let histogram = self.kind == Some(Kind::Histogram);
        suffix.is_empty() || (histogram && ["_bucket", "_sum", "_count"].contains(&suffix))
    }

    pub(super) fn add(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Help { .. } => {
                ensure!(!self.help, "a second HELP");
                ensure!(self.samples.is_empty(), "HELP behind a sample");
                self.help = true;
            }
            Line::Kind { kind, .. } => {
                ensure!(self.kind.is_none(), "a second TYPE");
                ensure!(self.samples.is_empty(), "TYPE behind a sample");
                self.kind = Some(match &kind[..] {
                    "counter" => Kind::Counter,
                    "gauge" => Kind::Gauge,
                    "histogram" => Kind::Histogram,
                    // Summaries and untyped ones have their place elsewhere, not on our page.
                    _ => bail!("TYPE {kind:?}"),
                });
            }
            Line::Sample(sample) => self.samples.push(sample),
            Line::Comment => {}
        }
        Ok(())
    }

    /// What can be said when all of it is there.
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.help, "no HELP");
        let kind = self.kind.context("no TYPE")?;
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            let new = seen.insert((&sample.name, &sample.labels));
            ensure!(new, "twice with the same labels: {sample:?}");
        }
        let total = self.name.ends_with("_total");
        match kind {
            Kind::Counter => {
                ensure!(total, "a counter that does not end in _total");
                let wrong = self
                    .samples
                    .iter()
                    .find(|sample| sample.value.is_nan() || sample.value < 0.0);
                ensure!(wrong.is_none(), "a counter below 0: {wrong:?}");
            }
            Kind::Gauge => ensure!(!total, "a gauge that ends in _total"),
            Kind::Histogram => self.check_histogram()?,
        }
        Ok(())
    }

    /// For each set of labels: buckets that grow up to +Inf, a count that is the last, and a sum.
    fn check_histogram(&self) -> Result<()> {
        let without_le = |sample: &Sample| {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            labels
        };
        let sets: BTreeSet<Labels> = self.samples.iter().map(without_le).collect();
        for labels in sets {
            let of = |suffix: &str| -> Vec<&Sample> {
                let name = format!("{}{suffix}", self.name);
                let samples = self.samples.iter();
                samples
                    .filter(|sample| sample.name == name && without_le(sample) == labels)
                    .collect()
            };
            let mut last = (f64::NEG_INFINITY, 0.0);
            for bucket in of("_bucket") {
                let le = bucket.labels.get("le").context("a bucket without le")?;
                let le: f64 = le.parse().with_context(|| format!("le={le:?}"))?;
                ensure!(le > last.0, "le={le} behind {}", last.0);
                ensure!(bucket.value >= last.1, "fewer up to {le}");
                last = (le, bucket.value);
            }
            ensure!(last.0 == f64::INFINITY, "{labels:?}: no +Inf");
            let [count] = of("_count")[..] else {
                bail!("{labels:?}: no count")
            };
            ensure!(count.value == last.1, "{labels:?}: a wrong count");
            ensure!(of("_sum").len() == 1, "{labels:?}: no sum");
            ensure!(of("").is_empty(), "{labels:?}: a plain sample");
        }
        Ok(())
    }
}
