//! The image is small, and stays so.

use super::Finished;

/// Whoever has it grow beyond this has to say for what.
const LIMIT: usize = 2 << 20;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let size = finished.bytes.len();
    (size >= LIMIT)
        .then(|| format!("it has {size} bytes"))
        .into_iter()
        .collect()
}
