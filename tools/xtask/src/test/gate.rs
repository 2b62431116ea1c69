//! The parts, in order: what is quick and finds much comes first, and what needs a nest runs beside
//! what needs none.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::report::{Found, Part, Report, seconds};
use super::{Options, host, image, need, nested, tools};
use crate::structure;

/// What the names of tests in nested Xen begin with, and no others' do.
const NESTED: &str = "nested_";

/// `cargo xtask test`.
pub(crate) fn command(options: &Options) -> Result<ExitCode> {
    need::ensure(options.long && !options.host_only)?;
    let start = Instant::now();
    let report = Report::default();
    if options.filter.is_none() {
        report.part("format", tools::format);
        report.part("structure", structure_rules);
        report.part("clippy", tools::clippy);
        report.part("clippy for the image", tools::clippy_for_image);
        report.part("documentation", tools::documentation);
    }
    let nests = nested::wanted(options);
    if options.filter.is_none() || (!nests.is_empty() && !options.host_only) {
        report.part("image", image::run);
    }
    let mut parts = Vec::new();
    let filter = options.filter.as_ref();
    // To ask the tests on the host for their names takes as long as to build them all.
    if filter.is_none_or(|text| !text.starts_with(NESTED)) {
        parts.push(Part::new("tests on the host", || host::run(options)));
    }
    if options.host_only {
        parts.push(Part::new("tests in nested Xen", || leave_out(&nests)));
    } else {
        parts.extend(nests.iter().map(|nest| {
            let name = format!("tests in nested Xen ({})", nest.name());
            Part::new(&name, || nest.run())
        }));
    }
    report.parts(parts, lab::nest::at_once());
    println!("\nall parts took {}", seconds(start.elapsed()));
    Ok(if report.end(options.host_only) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says loudly what does not run.
fn leave_out(nests: &[nested::Wanted]) -> Result<Found> {
    let skipped: Vec<String> = nests.iter().flat_map(nested::Wanted::tests).collect();
    println!(
        "   !! --host-only: {} tests in nested Xen are LEFT OUT !!",
        skipped.len()
    );
    Ok(Found {
        skipped,
        ..Found::default()
    })
}

fn structure_rules() -> Result<Found> {
    let mut found = Found::new();
    for (name, problems) in structure::check()? {
        found.note(name, &problems);
    }
    Ok(found)
}
