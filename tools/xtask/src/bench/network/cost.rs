//! A command in dom0, and what it cost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lab::Nest;
use serde_json::Value;

/// What a command may take on dom0's clock.
const LIMIT: Duration = Duration::from_secs(600);
const PROGRAM: &str = "/root/bench/cost.py";

/// CPU time is what Xen has charged to all vCPUs, in nanoseconds; under the deterministic clock a
/// nanosecond is an instruction.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    pub domain: f64,
    pub dom0: f64,
    pub passed: f64,
    pub said: String,
}

impl Cost {
    /// What this cost more than a shorter one.
    pub(super) fn beyond(self, shorter: &Self) -> Self {
        Self {
            domain: self.domain - shorter.domain,
            dom0: self.dom0 - shorter.dom0,
            passed: self.passed - shorter.passed,
            said: self.said,
        }
    }
}

/// Puts the programs into dom0.
pub(super) fn prepare(nest: &Nest) -> Result<()> {
    nest.check("mkdir -p /root/bench")?;
    nest.put(PROGRAM, include_bytes!("cost.py"))?;
    nest.put("/root/bench/xen.py", include_bytes!("../storage/xen.py"))?;
    nest.put("/root/bench/streams", &lab::program("streams")?)?;
    Ok(())
}

/// Runs a command that loads a domain.
pub(super) fn of(nest: &Nest, domain: u32, command: &str) -> Result<Cost> {
    let line = format!("cd /root/bench && python3 {PROGRAM} {domain} {command}");
    let output = nest.run_for(&line, LIMIT)?;
    ensure!(output.success(), "in dom0: {line}\n{output}");
    let found: Value = serde_json::from_str(&output.stdout)?;
    let said = found["said"].as_str().unwrap_or_default().to_owned();
    ensure!(found["status"] == 0, "in dom0: {command}\n{said}");
    let figure = |name: &str| found[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Cost {
        domain: figure("domain")?,
        dom0: figure("dom0")?,
        passed: figure("passed")?,
        said,
    })
}

/// The numbers in what a command said.
pub(super) fn numbers(said: &str) -> Result<Vec<f64>> {
    let number = |word: &str| word.parse().with_context(|| format!("no figure: {said:?}"));
    said.split_whitespace().map(number).collect()
}
