//! The functions' instructions. Each function is decoded from its own first byte, so that data or
//! padding between functions cannot put the decoder out of step.

use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::super::elf::{Elf, PF_X, PT_LOAD};

/// Calls `look` with the name of each function and each of its instructions.
pub(super) fn for_each(linked: &Elf, mut look: impl FnMut(&str, &Instruction)) {
    let symbols = linked.code_symbols();
    for segment in linked
        .segments_of(PT_LOAD)
        .filter(|segment| segment.flags & PF_X != 0)
    {
        let end = segment.address + segment.data.len() as u64;
        let inside: Vec<_> = symbols
            .iter()
            .filter(|symbol| (segment.address..end).contains(&symbol.address))
            .collect();
        for (index, symbol) in inside.iter().enumerate() {
            let next = inside.get(index + 1).map_or(end, |next| next.address);
            let bytes = segment
                .data
                .get((symbol.address - segment.address) as usize..(next - segment.address) as usize)
                .unwrap_or_default();
            let decoder = Decoder::with_ip(64, bytes, symbol.address, DecoderOptions::NONE);
            for instruction in decoder {
                look(&symbol.name, &instruction);
            }
        }
    }
}
