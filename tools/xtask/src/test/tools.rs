//! What cargo's own tools say.

use anyhow::Result;

use super::report::Found;
use crate::cargo::Cargo;
use crate::image::build;

/// `cargo fmt` has nothing to change.
pub(super) fn format() -> Result<Found> {
    one(
        "rustfmt has nothing to change",
        Cargo::new("fmt").args(["--all", "--", "--check"]),
    )
}

/// Clippy finds nothing in what runs on the host.
pub(super) fn clippy() -> Result<Found> {
    let clippy = Cargo::new("clippy").args(["--all-targets", "--", "-Dwarnings"]);
    one("clippy finds nothing", clippy)
}

/// Clippy finds nothing in the image, which does not build for the host.
pub(super) fn clippy_for_image() -> Result<Found> {
    let clippy = build::cargo_for_image("clippy");
    let packages = [
        "--package",
        "boot",
        "--package",
        "machine",
        "--lib",
        "--bins",
        "--examples",
        "--",
        "-Dwarnings",
    ];
    one("clippy finds nothing in the image", clippy.args(packages))
}

/// rustdoc finds no broken link.
pub(super) fn documentation() -> Result<Found> {
    let doc = Cargo::new("doc").args(["--no-deps", "--document-private-items"]);
    one(
        "rustdoc finds nothing",
        doc.env(
            "RUSTDOCFLAGS",
            "-Dwarnings -Arustdoc::private_intra_doc_links",
        ),
    )
}

/// A command whose success is a test. What it prints is shown if it fails.
fn one(name: &str, cargo: Cargo) -> Result<Found> {
    let output = cargo.output()?;
    let problems = if output.success {
        Vec::new()
    } else {
        vec![output.text]
    };
    let mut found = Found::new();
    found.note(name, &problems);
    Ok(found)
}
