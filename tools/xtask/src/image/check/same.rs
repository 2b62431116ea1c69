//! The debug file's addresses and names are only true for the image if both load the same bytes.

use super::super::elf::{Elf, PT_LOAD, Segment};
use super::Finished;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let loaded = |elf: &Elf| -> Vec<Segment> { elf.segments_of(PT_LOAD).cloned().collect() };
    let (image, linked) = (loaded(&finished.image), loaded(&finished.linked));
    if image.is_empty() {
        return vec!["nothing is loaded".to_owned()];
    }
    if image.len() != linked.len() {
        return vec![format!(
            "{} segments are loaded, not {}",
            image.len(),
            linked.len()
        )];
    }
    image
        .iter()
        .zip(&linked)
        .filter(|(image, linked)| image != linked)
        .map(|(image, _)| format!("the segment at {:#x} differs", image.address))
        .collect()
}
