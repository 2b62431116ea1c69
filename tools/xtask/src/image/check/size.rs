//! The image is small, and stays so.

use super::Finished;

const LIMIT: usize = 14 << 17;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let size = finished.bytes.len();
    (size >= LIMIT)
        .then(|| format!("it has {size} bytes"))
        .into_iter()
        .collect()
}
