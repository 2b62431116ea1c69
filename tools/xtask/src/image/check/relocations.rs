//! Nobody relocates the image: whatever is left to relocate would stay wrong.

use super::Finished;

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const SHT_RELA: u32 = 4;
const SHT_REL: u32 = 9;
const SHT_RELR: u32 = 19;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let segments = finished
        .image
        .segments
        .iter()
        .filter(|segment| matches!(segment.kind, PT_DYNAMIC | PT_INTERP))
        .map(|segment| {
            format!(
                "a program header of type {} wants a dynamic loader",
                segment.kind
            )
        });
    let sections = finished
        .linked
        .sections
        .iter()
        .filter(|section| matches!(section.kind, SHT_RELA | SHT_REL | SHT_RELR))
        .map(|section| format!("section {} holds relocations", section.name));
    segments.chain(sections).collect()
}
