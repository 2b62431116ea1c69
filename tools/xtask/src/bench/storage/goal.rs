//! What is asked of the ratios.

use super::job::JOBS;
use super::load::Clock;
use super::row::{Metric, Row};
use super::{growth, lifecycle, serve};

/// A goal, and whether it is met.
#[derive(Debug)]
pub(super) struct Verdict {
    pub what: String,
    pub ratio: f64,
    pub limit: Limit,
    /// What the first contender's domain has no part in, where that is measured.
    pub outside: Option<Outside>,
}

/// What is outside a driver domain. What Xen does for a domain counts as the domain's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outside {
    /// The part of the CPU time of both domains that dom0 has, and the part of the time that dom0's
    /// vCPU is in use.
    Load { share: f64, busy: f64 },
    /// The part of the time in which Xen charges nothing to the domain.
    Wait { share: f64 },
}

impl Outside {
    pub(super) fn share(self) -> f64 {
        match self {
            Self::Load { share, .. } | Self::Wait { share } => share,
        }
    }
}

impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = self.share() * 100.0;
        match self {
            Self::Load { busy, .. } => write!(
                f,
                "dom0 has {share:.0} % of the CPU time of both, its vCPU is {:.0} % in use",
                busy * 100.0
            ),
            Self::Wait { .. } => write!(f, "the domain does nothing in {share:.0} % of it"),
        }
    }
}

/// What a ratio may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    pub(super) fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtLeast(least) => self.ratio >= least,
            Limit::AtMost(most) => self.ratio <= most,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = match self.limit {
            Limit::AtLeast(least) => format!("at least {least:.2}"),
            Limit::AtMost(most) => format!("at most {most:.2}"),
        };
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        let (what, ratio) = (&self.what, self.ratio);
        write!(f, "{what}: {ratio:.3} ({limit} is asked: {verdict}")?;
        if let (false, Some(outside)) = (self.is_met(), self.outside) {
            write!(f, "; {outside}")?;
        }
        f.write_str(")")
    }
}

/// Every goal that the rows have figures for.
pub(super) fn verdicts(rows: &[Row], clock: Clock) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for row in rows {
        let what = || format!("{}, {}, {}", row.part, row.name, row.metric.title());
        if let Some(limit) = limit(row, clock) {
            let ratio = row.ratios().median();
            verdicts.push(Verdict {
                what: what(),
                ratio,
                limit,
                outside: outside(rows, row),
            });
        }
        // The peer with its better setting for this job.
        if clock == Clock::Slope && row.metric == Metric::Both && row.part == serve::MEMORY {
            let peers = (1..row.values.len()).map(|peer| row.figures(peer).median());
            let ratio = row.figures(0).median() / peers.fold(f64::INFINITY, f64::min);
            verdicts.push(Verdict {
                what: format!("{}, against the peer's better setting", what()),
                ratio,
                limit: Limit::AtMost(1.0),
                outside: None,
            });
        }
    }
    verdicts.extend(growth_verdict(rows));
    verdicts
}

fn limit(row: &Row, clock: Clock) -> Option<Limit> {
    use Limit::{AtLeast, AtMost};
    use Metric::{Domain, Iops, Median, Throughput};
    let job = JOBS.iter().find(|job| job.name == row.name);
    match (row.part, clock) {
        (lifecycle::PART, Clock::Window(_)) if row.metric == Metric::Time => match &row.name[..] {
            lifecycle::READY | lifecycle::READY_LEAST => Some(AtMost(1.0 / 15.0)),
            lifecycle::FIRST_READ | lifecycle::DETACH => Some(AtMost(1.0)),
            _ => None,
        },
        (serve::AGAIN | serve::NVME, Clock::Window(_)) => match row.metric {
            Iops | Throughput => Some(AtLeast(1.0)),
            _ => None,
        },
        (serve::MEMORY, Clock::Window(_)) => match row.metric {
            Iops if job?.is_deep() => Some(AtLeast(1.3)),
            Throughput => Some(AtLeast(1.3)),
            Median if job?.waits() => Some(AtMost(0.75)),
            _ => None,
        },
        (serve::MEMORY, Clock::Slope) if row.metric == Domain => {
            let job = job?;
            match () {
                () if job.is_deep() => Some(AtMost(0.5)),
                () if job.waits() => Some(AtMost(0.4)),
                () if job.reads_megabytes() => Some(AtMost(0.6)),
                () => None,
            }
        }
        _ => None,
    }
}

/// The first contender's own cost, with the most exports against one.
fn growth_verdict(rows: &[Row]) -> Option<Verdict> {
    let (one, most) = growth::ends();
    let cost = |name: &str| median(rows, growth::PART, name, Metric::Domain);
    Some(Verdict {
        what: format!(
            "{}, {}, {most} against {one}",
            growth::PART,
            Metric::Domain.title()
        ),
        ratio: cost(&most)? / cost(&one)?,
        limit: Limit::AtMost(1.15),
        outside: None,
    })
}

/// What is outside the domain in the job that `row` is of.
fn outside(rows: &[Row], row: &Row) -> Option<Outside> {
    let figure = |metric| median(rows, row.part, &row.name, metric);
    if row.metric == Metric::Time {
        let share = 1.0 - figure(Metric::Used)? / figure(Metric::Time)?;
        return Some(Outside::Wait { share });
    }
    let (domain, dom0) = (figure(Metric::Domain)?, figure(Metric::Dom0)?);
    Some(Outside::Load {
        share: dom0 / (domain + dom0),
        busy: figure(Metric::Busy)? / 100.0,
    })
}

/// The first contender's figure.
fn median(rows: &[Row], part: &str, name: &str, metric: Metric) -> Option<f64> {
    let wanted = (part, name, metric);
    let mut rows = rows.iter();
    let row = rows.find(|row| (row.part, &row.name[..], row.metric) == wanted)?;
    Some(row.figures(0).median())
}

#[cfg(test)]
mod tests {
    use super::{Clock, Limit, Metric, Row, growth, lifecycle, serve, verdicts};

    fn row(part: &'static str, name: &str, metric: Metric, values: &[f64]) -> Row {
        Row {
            part,
            name: name.to_owned(),
            metric,
            values: values.iter().map(|value| vec![*value]).collect(),
            repeated: 0,
        }
    }

    #[test]
    fn each_clock_has_its_goals() {
        let rows = [
            row(
                serve::MEMORY,
                "randread 4k qd32",
                Metric::Iops,
                &[13.0, 10.0],
            ),
            row(serve::MEMORY, "randread 4k qd1", Metric::Iops, &[1.0, 10.0]),
            row(
                serve::MEMORY,
                "randread 4k qd1",
                Metric::Median,
                &[8.0, 10.0],
            ),
            row(serve::MEMORY, "read 1m qd4", Metric::Domain, &[5.0, 10.0]),
        ];
        let found = verdicts(&rows, Clock::Window(1));
        let met: Vec<bool> = found.iter().map(super::Verdict::is_met).collect();
        assert_eq!(met, [true, false]);
        assert_eq!(found[0].limit, Limit::AtLeast(1.3));
        let found = verdicts(&rows, Clock::Slope);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].ratio, found[0].limit), (0.5, Limit::AtMost(0.6)));
    }

    #[test]
    fn a_missed_goal_says_how_much_is_outside_the_domain() {
        let name = "randread 4k qd32";
        let rows = [
            row(serve::MEMORY, name, Metric::Iops, &[12.0, 10.0]),
            row(serve::MEMORY, name, Metric::Domain, &[1.0, 9.0]),
            row(serve::MEMORY, name, Metric::Dom0, &[4.0, 1.0]),
            row(serve::MEMORY, name, Metric::Busy, &[99.0, 50.0]),
            row(serve::AGAIN, name, Metric::Iops, &[9.0, 10.0]),
        ];
        let found = verdicts(&rows, Clock::Window(1));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        let outside = "MISSED; dom0 has 80 % of the CPU time of both, its vCPU is 99 % in use)";
        assert!(text[0].ends_with(outside));
        assert!(text[1].ends_with("MISSED)"));
    }

    #[test]
    fn a_missed_time_says_how_much_of_it_the_domain_does_nothing() {
        let rows = [
            row(
                lifecycle::PART,
                lifecycle::DETACH,
                Metric::Time,
                &[9.0, 8.0],
            ),
            row(
                lifecycle::PART,
                lifecycle::DETACH,
                Metric::Used,
                &[0.9, 1.0],
            ),
        ];
        let found = verdicts(&rows, Clock::Window(1));
        assert_eq!(found.len(), 1);
        let text = found[0].to_string();
        assert!(text.ends_with("MISSED; the domain does nothing in 90 % of it)"));
    }

    #[test]
    fn the_sum_is_held_against_the_peers_better_setting() {
        let rows = [row(
            serve::MEMORY,
            "read 1m qd4",
            Metric::Both,
            &[9.0, 10.0, 8.0],
        )];
        let found = verdicts(&rows, Clock::Slope);
        assert_eq!(
            (found.len(), found[0].ratio, found[0].is_met()),
            (1, 9.0 / 8.0, false)
        );
    }

    #[test]
    fn growth_is_held_against_itself() {
        let (one, most) = growth::ends();
        let rows = [
            row(growth::PART, &one, Metric::Domain, &[10.0, 1.0]),
            row(growth::PART, &most, Metric::Domain, &[12.0, 1.0]),
        ];
        let found = verdicts(&rows, Clock::Slope);
        assert_eq!(
            (found.len(), found[0].ratio, found[0].is_met()),
            (1, 1.2, false)
        );
    }
}
