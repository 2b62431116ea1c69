//! The loader takes what it is: Xen's builder wants ELF64 for x86-64, and ours must be linked to
//! its place (EXEC). No segment is both writable and executable.

use super::super::elf::{PF_X, PT_LOAD};
use super::Finished;

const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;
const PF_W: u32 = 2;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let image = &finished.image;
    let mut found = Vec::new();
    if image.kind != ET_EXEC {
        found.push(format!("its type is {}, not EXEC ({ET_EXEC})", image.kind));
    }
    if image.machine != EM_X86_64 {
        found.push(format!(
            "its machine is {}, not x86-64 ({EM_X86_64})",
            image.machine
        ));
    }
    if !image.is_code(image.entry) {
        found.push(format!(
            "no instructions are loaded at its entry {:#x}",
            image.entry
        ));
    }
    for segment in image.segments_of(PT_LOAD) {
        if segment.flags & (PF_W | PF_X) == PF_W | PF_X {
            found.push(format!(
                "the segment at {:#x} is writable and executable",
                segment.address
            ));
        }
    }
    found
}
