//! The result: a table on standard output, JSON and pictures in `target/bench`.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

use super::goal::{Outside, Verdict};
use super::plot;
use super::row::{Metric, Row};
use crate::project;

/// All that was found.
pub(super) struct Report {
    /// `storage` or what else it is, for the files' names.
    pub name: &'static str,
    /// The nest, the clock, how many rounds.
    pub setting: String,
    pub contenders: Vec<About>,
    pub rows: Vec<Row>,
    pub verdicts: Vec<Verdict>,
}

/// What is said of a contender beside its figures.
pub(super) struct About {
    pub name: &'static str,
    pub memory_mib: u32,
    pub least_memory_mib: u32,
    pub image_bytes: u64,
}

impl Report {
    /// Prints the table.
    pub(super) fn print(&self) {
        println!("\n{}", self.setting);
        for about in &self.contenders {
            println!(
                "{}: memory {} MiB (it does with {}), image {} bytes",
                about.name, about.memory_mib, about.least_memory_mib, about.image_bytes
            );
        }
        let mut last = None;
        for row in self.sorted() {
            if last != Some((row.part, row.metric)) {
                println!("\n{}", self.head(row));
                last = Some((row.part, row.metric));
            }
            println!("{}", self.line(row));
        }
        println!(
            "\n{}",
            if self.verdicts.is_empty() {
                "no goal"
            } else {
                "goals"
            }
        );
        for verdict in &self.verdicts {
            println!("{verdict}");
        }
    }

    /// Rows of one part and metric stand together; parts in the order they were taken.
    fn sorted(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        let place = |part: &str| self.rows.iter().position(|row| row.part == part);
        rows.sort_by_key(|row| (place(row.part), row.metric));
        rows
    }

    fn head(&self, row: &Row) -> String {
        let title = format!("{}: {}", row.part, row.metric.title());
        let mut line = format!("{title:40}");
        for about in &self.contenders {
            line.push_str(&format!(" {:>22}", about.name));
        }
        line + &format!(" {:>16}", "ratio")
    }

    fn line(&self, row: &Row) -> String {
        let mut line = format!("  {:38}", row.name);
        for contender in 0..self.contenders.len() {
            let figures = row.figures(contender).text(row.metric.decimals());
            line.push_str(&format!(" {figures:>22}"));
        }
        line.push_str(&format!(" {:>16}", row.ratios().text(2)));
        match (row.repeated, row.is_unsteady()) {
            (0, false) => line,
            (0, true) => line + "  unsteady",
            (repeated, false) => line + &format!("  repeated {repeated}x"),
            (repeated, true) => line + &format!("  repeated {repeated}x, STILL UNSTEADY"),
        }
    }

    fn json(&self) -> Value {
        let names: Vec<&str> = self.contenders.iter().map(|about| about.name).collect();
        let contender = |about: &About| {
            json!({
                "name": about.name, "memory_mib": about.memory_mib,
                "least_memory_mib": about.least_memory_mib, "image_bytes": about.image_bytes,
            })
        };
        let row = |row: &Row| {
            let by_name: serde_json::Map<String, Value> = names
                .iter()
                .zip(&row.values)
                .map(|(name, values)| ((*name).to_owned(), json!(values)))
                .collect();
            let ratios = row.ratios();
            json!({
                "part": row.part, "name": row.name, "metric": row.metric.title(),
                "rounds": by_name, "repeated": row.repeated,
                "ratio": {"smallest": ratios.smallest(), "median": ratios.median(),
                          "largest": ratios.largest()},
            })
        };
        let verdict = |verdict: &Verdict| {
            json!({"what": verdict.what, "ratio": verdict.ratio, "met": verdict.is_met(),
                   "outside": verdict.outside.map(Outside::share),
                   "text": verdict.to_string()})
        };
        json!({
            "setting": self.setting,
            "contenders": self.contenders.iter().map(contender).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "goals": self.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        })
    }

    /// Writes the files and says where they are.
    pub(super) fn write(&self) -> Result<()> {
        let folder = project::root().join("target/bench");
        fs::create_dir_all(&folder)?;
        let write = |name: String, text: String| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok(path)
        };
        let text = serde_json::to_string_pretty(&self.json())? + "\n";
        let json = write(format!("{}.json", self.name), text)?;
        println!("\n{}", json.display());
        let names: Vec<&str> = self.contenders.iter().map(|about| about.name).collect();
        let mut metrics: Vec<Metric> = self.rows.iter().map(|row| row.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        for metric in metrics {
            let rows: Vec<&Row> = self
                .rows
                .iter()
                .filter(|row| row.metric == metric)
                .collect();
            let svg = plot::svg(metric.title(), &names, &rows);
            let picture = write(format!("{}-{}.svg", self.name, metric.file()), svg)?;
            println!("{}", picture.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Metric, Report, Row};

    fn row(part: &'static str, metric: Metric) -> Row {
        Row {
            part,
            name: "job".to_owned(),
            metric,
            values: vec![vec![1.0, 2.0, 3.0], vec![2.0, 2.0, 2.0]],
            repeated: 0,
        }
    }

    fn report() -> Report {
        let about = |name| About {
            name,
            memory_mib: 64,
            least_memory_mib: 12,
            image_bytes: 1000,
        };
        Report {
            name: "test",
            setting: "here".to_owned(),
            contenders: vec![about("a"), about("b")],
            rows: vec![
                row("memory", Metric::Domain),
                row("disk", Metric::Iops),
                row("memory", Metric::Iops),
            ],
            verdicts: Vec::new(),
        }
    }

    #[test]
    fn a_line_has_every_contenders_spread_and_the_ratios() {
        let report = report();
        let words: Vec<String> = report
            .line(&report.rows[1])
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        assert_eq!(words, ["job", "1/2/3", "2/2/2", "0.50/1.00/1.50"]);
        let order: Vec<_> = report
            .sorted()
            .iter()
            .map(|row| (row.part, row.metric))
            .collect();
        assert_eq!(
            order,
            [
                ("memory", Metric::Iops),
                ("memory", Metric::Domain),
                ("disk", Metric::Iops)
            ]
        );
    }

    #[test]
    fn json_has_every_round() {
        let json = report().json();
        assert_eq!(
            json["rows"][0]["rounds"]["a"],
            serde_json::json!([1.0, 2.0, 3.0])
        );
        assert_eq!(json["rows"][0]["ratio"]["median"], 1.0);
        assert_eq!(json["contenders"][1]["image_bytes"], 1000);
    }
}
