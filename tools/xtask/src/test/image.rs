//! The image's build and the checks of the finished file.

use anyhow::Result;

use super::report::Found;
use crate::image::build;

/// Builds the image and checks it.
pub(super) fn run() -> Result<Found> {
    let paths = build::build()?;
    let mut found = Found::new();
    for (name, problems) in build::check(&paths)? {
        found.note(name, &problems);
    }
    Ok(found)
}
