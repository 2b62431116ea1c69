//! The result: a table on standard output, and JSON in `target/bench`.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::figures::Figures;
use super::job::Limit;
use crate::project;

/// One line: ours and Linux's.
pub(super) struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    /// What is asked of the ratio.
    pub limit: Limit,
    /// The figures of each round.
    pub values: [Vec<f64>; 2],
    /// Of the CPU time of our domain and dom0 together, dom0's part, in each round.
    pub outside: Vec<f64>,
}

impl Row {
    /// Ours by Linux's, round by round.
    pub(super) fn ratios(&self) -> Figures {
        let [ours, theirs] = &self.values;
        all(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }

    fn line(&self, decimals: usize) -> String {
        let [ours, theirs] = &self.values;
        let [ours, theirs] = [ours, theirs].map(|values| all(values.iter().copied()));
        let ratios = self.ratios();
        let (limit, met) = match self.limit {
            Limit::AtLeast(least) => (format!("at least {least:.1}"), ratios.median()),
            Limit::AtMost(most) => (format!("at most {most:.1}"), ratios.median()),
        };
        let verdict = if self.limit.is_met(met) {
            "met"
        } else {
            "MISSED"
        };
        let outside = all(self.outside.iter().copied()).median() * 100.0;
        let mut line = format!("{:32} {:26}", self.name, self.unit);
        let _ = write!(
            line,
            "{:>24} {:>24} {:>16}  {limit}: {verdict}; dom0 has {outside:.0} % of the CPU time",
            ours.text(decimals),
            theirs.text(decimals),
            ratios.text(2)
        );
        line
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "xenolith": self.values[0],
            "linux": self.values[1], "ratio": self.ratios().median(),
            "met": self.limit.is_met(self.ratios().median()), "outside": self.outside,
        })
    }
}

/// Prints the table and writes the file.
pub(super) fn show(name: &str, setting: &str, rows: &[Row], decimals: usize) -> Result<()> {
    println!("\n{setting}");
    println!(
        "{:32} {:26}{:>24} {:>24} {:>16}",
        "", "", "xenolith", "linux", "ratio"
    );
    for row in rows {
        println!("{}", row.line(decimals));
    }
    let folder = project::root().join("target/bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let text = serde_json::to_string_pretty(&json!({"setting": setting, "rows": rows}))?;
    fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    println!("\n{}", path.display());
    Ok(())
}

fn all(values: impl Iterator<Item = f64>) -> Figures {
    let mut figures = Figures::default();
    values.for_each(|value| figures.add(value));
    figures
}

#[cfg(test)]
mod tests {
    use super::{Limit, Row};

    #[test]
    fn a_line_says_whether_what_is_asked_is_met() {
        let mut row = Row {
            name: "job",
            unit: "MiB/s",
            limit: Limit::AtLeast(1.0),
            values: [vec![10.0, 30.0, 20.0], vec![10.0, 15.0, 25.0]],
            outside: vec![0.5],
        };
        let line = row.line(0);
        assert!(
            line.contains("10/20/30") && line.contains("0.80/1.00/2.00"),
            "{line}"
        );
        assert!(line.contains("at least 1.0: met; dom0 has 50 %"), "{line}");
        row.limit = Limit::AtMost(0.8);
        assert!(row.line(0).contains("at most 0.8: MISSED"));
    }
}
