//! The parts, in order: what is quick and finds much comes first.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use super::host::Nested;
use super::report::{Found, Report, seconds};
use super::{Options, host, image, need, nested, tools};
use crate::structure;

/// What the names of tests in nested Xen begin with, and no others' do.
const NESTED: &str = "nested_";

/// `cargo xtask test`.
pub(crate) fn command(options: &Options) -> Result<ExitCode> {
    need::ensure()?;
    let start = Instant::now();
    let mut report = Report::default();
    if options.filter.is_none() {
        report.part("format", tools::format);
        report.part("structure", structure_rules);
        report.part("clippy", tools::clippy);
        report.part("clippy for the image", tools::clippy_for_image);
        report.part("documentation", tools::documentation);
    }
    let mut own_nests = Vec::new();
    // To ask the tests on the host for their names takes as long as to build them all.
    if options
        .filter
        .as_ref()
        .is_none_or(|text| !text.starts_with(NESTED))
    {
        report.part("tests on the host", || host::run(options, &mut own_nests));
    }
    let mut nested = nested::wanted(options);
    if options.filter.is_none() || (!nested.is_empty() && !options.host_only) {
        report.part("image", image::run);
    }
    if options.host_only {
        nested.extend(own_nests.into_iter().flat_map(|program| program.tests));
        leave_out(&mut report, &nested);
    } else if !nested.is_empty() || !own_nests.is_empty() {
        report.part("tests in nested Xen", || nested_tests(options, &own_nests));
    }
    println!("\nall parts took {}", seconds(start.elapsed()));
    Ok(if report.end(options.host_only) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// First the image's tests, then those of the lab itself.
fn nested_tests(options: &Options, own_nests: &[Nested]) -> Result<Found> {
    let mut found = nested::run(options)?;
    for program in own_nests {
        found.add(host::run_nested(program, options)?);
    }
    Ok(found)
}

/// Says loudly what does not run.
fn leave_out(report: &mut Report, tests: &[String]) {
    report.part("tests in nested Xen", || {
        println!(
            "   !! --host-only: {} tests in nested Xen are LEFT OUT !!",
            tests.len()
        );
        Ok(Found {
            skipped: tests.to_vec(),
            ..Found::default()
        })
    });
}

fn structure_rules() -> Result<Found> {
    let mut found = Found::new();
    for (name, problems) in structure::check()? {
        found.note(name, &problems);
    }
    Ok(found)
}
