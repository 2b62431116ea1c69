//! Running a job in dom0 and reading what it did and cost.

use anyhow::{Context, Result};
use lab::Nest;
use serde_json::Value;
use std::time::Duration;

use super::job::Job;
use super::row::Metric;

/// The program that runs fio and asks Xen for CPU times.
const PROGRAM: &str = include_str!("load.py");
const PATH: &str = "/root/bench/load.py";
/// What one run may take on dom0's clock.
const LIMIT: Duration = Duration::from_secs(180);

const MIB: f64 = 1_048_576.0;
const PERCENTILES: [(Metric, &str); 3] = [
    (Metric::Median, "p50"),
    (Metric::Percentile99, "p99"),
    (Metric::Percentile999, "p999"),
];

/// How a job's cost is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// In a window within a run of so many milliseconds.
    Window(u32),
    /// From the difference of a long and a short run, which are the same each time.
    Slope,
}

/// Puts the program into dom0.
pub(super) fn prepare(nest: &Nest) -> Result<()> {
    nest.put(PATH, PROGRAM.as_bytes())
}

/// Runs a job on dom0's `devices`, whose backend is in the domain `domain`; what the program says
/// of it. Only where costs are differences, what is needed the first time must be there before:
/// `warm_up`.
pub(super) fn run(
    nest: &Nest,
    clock: Clock,
    job: Job,
    domain: u32,
    devices: &[String],
    warm_up: bool,
) -> Result<Value> {
    let length = match clock {
        Clock::Window(time) => format!("window {time}"),
        Clock::Slope => {
            let (short, long) = job.counts();
            let first = if warm_up {
                format!("{short},")
            } else {
                String::new()
            };
            format!("slope {first}{short},{long}")
        }
    };
    let (devices, options) = (devices.join(":"), job.options(clock));
    let line = format!("python3 {PATH} {length} {domain} {devices} {options}");
    let output = nest.run_for(&line, LIMIT)?;
    anyhow::ensure!(output.success(), "in dom0: {line}\n{output}");
    serde_json::from_str(&output.stdout).context("no JSON")
}

/// The figures of a run: whether of its reads or its writes, where the job does both; of what; and
/// how much. The job's speed comes first.
pub(super) type Figures = Vec<(&'static str, Metric, f64)>;

/// Reads what the program says.
pub(super) fn figures(job: Job, value: &Value) -> Result<Figures> {
    let number = |name: &str| value[name].as_f64().with_context(|| format!("no {name}"));
    let speed = if job.is_sequential() {
        (Metric::Throughput, number("bytes_per_second")? / MIB)
    } else {
        (Metric::Iops, number("iops")?)
    };
    let cost = |nanoseconds: f64| -> Result<f64> { Ok(nanoseconds / number("ios")? / 1000.0) };
    let (dom0, domain) = (number("dom0_ns")?, number("domain_ns")?);
    let mut figures = vec![
        ("", speed.0, speed.1),
        ("", Metric::Domain, cost(domain)?),
        ("", Metric::Dom0, cost(dom0)?),
        ("", Metric::Both, cost(dom0 + domain)?),
    ];
    if let Some(passed) = value["passed_ns"].as_f64() {
        figures.push(("", Metric::Busy, dom0 / passed * 100.0));
    }
    let latency = &value["latency"];
    let both = latency["read"].is_object() && latency["write"].is_object();
    for what in ["read", "write"] {
        for (metric, name) in PERCENTILES {
            if let Some(microseconds) = latency[what][name].as_f64() {
                figures.push((if both { what } else { "" }, metric, microseconds));
            }
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::super::job::JOBS;
    use super::{Figures, Metric, Value, figures};

    fn line(latency: &str) -> Value {
        read(&format!(
            r#"{{"ios": 100, "dom0_ns": 500000, "domain_ns": 200000, "passed_ns": 625000,
                "iops": 7.5, "bytes_per_second": 2097152, "latency": {latency}}}"#
        ))
    }

    fn read(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    fn figure(figures: &Figures, metric: Metric) -> f64 {
        figures
            .iter()
            .find(|(_, found, _)| *found == metric)
            .unwrap()
            .2
    }

    #[test]
    fn costs_are_for_each_io_and_speed_is_what_tells_most() {
        let figures_of = |number: usize| figures(JOBS[number], &line("{}")).unwrap();
        let small = figures_of(0);
        assert_eq!((small[0].1, small[0].2), (Metric::Iops, 7.5));
        assert_eq!(figure(&small, Metric::Domain), 2.0);
        assert_eq!(figure(&small, Metric::Both), 7.0);
        assert_eq!(figure(&small, Metric::Busy), 80.0);
        let large = figures_of(4);
        assert_eq!((large[0].1, large[0].2), (Metric::Throughput, 2.0));
        assert!(figures(JOBS[0], &read("{}")).is_err());
    }

    #[test]
    fn runs_by_count_do_not_say_how_much_of_the_time_was_used() {
        let mut counted = line("{}");
        counted["passed_ns"] = Value::Null;
        let found = figures(JOBS[0], &counted).unwrap();
        assert!(found.iter().all(|(_, metric, _)| *metric != Metric::Busy));
        assert_eq!(figure(&found, Metric::Both), 7.0);
    }

    #[test]
    fn a_job_that_does_both_has_two_latencies() {
        let reads = line(r#"{"read": {"p50": 10.5, "p99": 20, "p999": 30}}"#);
        let found = figures(JOBS[0], &reads).unwrap();
        assert_eq!(figure(&found, Metric::Percentile99), 20.0);
        assert!(found.iter().all(|(what, ..)| what.is_empty()));
        let both = line(r#"{"read": {"p50": 10.5}, "write": {"p50": 1}}"#);
        let found = figures(JOBS[8], &both).unwrap();
        let latencies = [
            ("read", Metric::Median, 10.5),
            ("write", Metric::Median, 1.0),
        ];
        assert_eq!(found[5..], latencies);
    }
}
