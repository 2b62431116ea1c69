//! The rounds: each job on each contender in turn, A B A B.

use anyhow::Result;
use lab::Nest;

use super::job::Job;
use super::load::{self, Clock, Figures};
use super::row::Row;

/// How often a job whose figures are too far apart is done all over again.
const REPEATS: u32 = 2;

/// What a contender is loaded through.
pub(super) struct Target {
    /// Its domain.
    pub domain: u32,
    /// dom0's devices.
    pub devices: Vec<String>,
}

/// How a part of the measurement is taken.
#[derive(Clone, Copy)]
pub(super) struct Rounds<'nest> {
    pub nest: &'nest Nest,
    pub clock: Clock,
    pub count: u32,
}

impl Rounds<'_> {
    /// Does the jobs on the targets, one for each contender. A job that was disturbed is repeated
    /// for all of them.
    pub(super) fn measure(
        self,
        part: &'static str,
        jobs: &[Job],
        targets: &[Target],
    ) -> Result<Vec<Row>> {
        let mut runs = vec![vec![Vec::new(); targets.len()]; jobs.len()];
        for round in 1..=self.count {
            for (job, runs) in jobs.iter().zip(&mut runs) {
                eprintln!("{part}, round {round} of {}: {}", self.count, job.name);
                self.turn(*job, targets, runs)?;
            }
        }
        let mut all = Vec::new();
        for (job, runs) in jobs.iter().zip(&runs) {
            let mut rows = rows(part, job.name, runs, 0);
            for repeated in 1..=REPEATS {
                if !rows.first().is_some_and(Row::is_unsteady) {
                    break;
                }
                eprintln!("{part}, too far apart, all rounds again: {}", job.name);
                let mut runs = vec![Vec::new(); targets.len()];
                for _ in 0..self.count {
                    self.turn(*job, targets, &mut runs)?;
                }
                rows = self::rows(part, job.name, &runs, repeated);
            }
            all.extend(rows);
        }
        Ok(all)
    }

    /// Does a job on every target, and adds each one's figures to its runs.
    fn turn(self, job: Job, targets: &[Target], runs: &mut [Vec<Figures>]) -> Result<()> {
        for (target, runs) in targets.iter().zip(runs) {
            let Target { domain, devices } = target;
            let warm_up = runs.is_empty();
            let said = load::run(self.nest, self.clock, job, *domain, devices, warm_up)?;
            let figures = load::figures(job, &said)?;
            runs.push(figures);
        }
        Ok(())
    }
}

/// A row for each metric, of the runs of each contender in each round; the job's speed comes first.
fn rows(part: &'static str, job: &str, runs: &[Vec<Figures>], repeated: u32) -> Vec<Row> {
    let Some(first) = runs.iter().flatten().next() else {
        return Vec::new();
    };
    first
        .iter()
        .map(|&(what, metric, _)| {
            let figure = |run: &Figures| {
                run.iter()
                    .find(|(other, found, _)| (*other, *found) == (what, metric))
                    .map_or(f64::NAN, |(.., value)| *value)
            };
            Row {
                part,
                name: if what.is_empty() {
                    job.to_owned()
                } else {
                    format!("{job}, {what}s")
                },
                metric,
                values: runs
                    .iter()
                    .map(|rounds| rounds.iter().map(figure).collect())
                    .collect(),
                repeated,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::row::Metric;
    use super::rows;

    #[test]
    fn runs_become_rows() {
        let run = |iops, latency| vec![("", Metric::Iops, iops), ("read", Metric::Median, latency)];
        let runs = [
            vec![run(1.0, 10.0), run(2.0, 20.0)],
            vec![run(3.0, 30.0), run(4.0, 40.0)],
        ];
        let rows = rows("part", "job", &runs, 0);
        let names: Vec<&str> = rows.iter().map(|row| &row.name[..]).collect();
        assert_eq!(names, ["job", "job, reads"]);
        assert_eq!(rows[0].values, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(rows[1].values, [[10.0, 20.0], [30.0, 40.0]]);
    }
}
