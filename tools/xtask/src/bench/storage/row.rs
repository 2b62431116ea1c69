//! One line of the result: a thing measured for every contender in every round.

use super::super::figures::Figures;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    /// Operations a second.
    Iops,
    /// MiB a second.
    Throughput,
    /// Median completion latency in microseconds.
    Median,
    /// Its 99th percentile.
    Percentile99,
    /// Its 99.9th percentile.
    Percentile999,
    /// CPU time of the driver domain for each I/O, in microseconds. Under the deterministic clock a
    /// microsecond is a thousand instructions.
    Domain,
    /// The same of dom0, with fio.
    Dom0,
    /// The same of both.
    Both,
    /// How much of the time dom0's vCPU is in use, in per cent.
    Busy,
    /// Milliseconds.
    Time,
    /// Milliseconds of CPU time of the driver domain meanwhile.
    Used,
}

impl Metric {
    /// What it is and its unit.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Iops => "IOPS",
            Self::Throughput => "MiB/s",
            Self::Median => "latency p50 (us)",
            Self::Percentile99 => "latency p99 (us)",
            Self::Percentile999 => "latency p99.9 (us)",
            Self::Domain => "CPU of the domain (us per I/O)",
            Self::Dom0 => "CPU of dom0 (us per I/O)",
            Self::Both => "CPU of both (us per I/O)",
            Self::Busy => "dom0's vCPU in use (%)",
            Self::Time => "time (ms)",
            Self::Used => "CPU time of the domain meanwhile (ms)",
        }
    }

    /// The same in a file's name.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Iops => "iops",
            Self::Throughput => "throughput",
            Self::Median => "latency-p50",
            Self::Percentile99 => "latency-p99",
            Self::Percentile999 => "latency-p999",
            Self::Domain => "cpu-domain",
            Self::Dom0 => "cpu-dom0",
            Self::Both => "cpu-both",
            Self::Busy => "dom0-busy",
            Self::Time => "time",
            Self::Used => "cpu-time",
        }
    }

    /// Digits after the point that are worth reading.
    pub(super) fn decimals(self) -> usize {
        match self {
            Self::Domain | Self::Dom0 | Self::Both | Self::Used => 2,
            _ => 0,
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What of the measurement it belongs to.
    pub part: &'static str,
    /// What was done.
    pub name: String,
    pub metric: Metric,
    /// For each contender, the figure of each round.
    pub values: Vec<Vec<f64>>,
    /// How many times all its rounds were repeated because one was too far off.
    pub repeated: u32,
}

impl Row {
    /// The figures of a contender, over the rounds.
    pub(super) fn figures(&self, contender: usize) -> Figures {
        let mut figures = Figures::default();
        for value in self.values.get(contender).into_iter().flatten() {
            figures.add(*value);
        }
        figures
    }

    /// The first contender against the second, round by round: so that what the machine did in one
    /// round is in both.
    pub(super) fn ratios(&self) -> Figures {
        let mut ratios = Figures::default();
        if let [first, second, ..] = &self.values[..] {
            for (first, second) in first.iter().zip(second) {
                ratios.add(first / second);
            }
        }
        ratios
    }

    /// Whether some contender's smallest is under half of its median.
    pub(super) fn is_unsteady(&self) -> bool {
        (0..self.values.len())
            .map(|contender| self.figures(contender))
            .any(|figures| figures.smallest() < figures.median() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Metric, Row};

    fn row(first: &[f64], second: &[f64]) -> Row {
        Row {
            part: "part",
            name: "name".to_owned(),
            metric: Metric::Iops,
            values: vec![first.to_vec(), second.to_vec()],
            repeated: 0,
        }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds() {
        // The medians' own ratio would be 30 / 20.
        let row = row(&[10.0, 30.0, 90.0], &[20.0, 10.0, 90.0]);
        assert_eq!(row.ratios().text(2), "0.50/1.00/3.00");
        assert_eq!(row.figures(0).median() / row.figures(1).median(), 1.5);
    }

    #[test]
    fn a_round_far_below_the_others_is_found_for_either() {
        assert!(!row(&[51.0, 100.0, 101.0], &[1.0, 1.0, 2.0]).is_unsteady());
        assert!(row(&[49.0, 100.0, 101.0], &[1.0, 1.0, 2.0]).is_unsteady());
        assert!(row(&[1.0, 1.0, 2.0], &[49.0, 100.0, 101.0]).is_unsteady());
    }
}
