//! There are no threads, and fs has no base: thread-local storage would read address 0. Behind gs
//! is the number of the vCPU, and nothing else.

use iced_x86::{Instruction, Mnemonic, Register};

use super::super::names::short;
use super::{Finished, instructions};

const PT_TLS: u32 = 7;
const SHF_TLS: u64 = 0x400;

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let mut found = Vec::new();
    for elf in [&finished.image, &finished.linked] {
        if elf.segments_of(PT_TLS).next().is_some() {
            found.push("there is a program header for thread-local storage".to_owned());
        }
    }
    for section in &finished.linked.sections {
        if section.flags & SHF_TLS != 0 {
            found.push(format!("section {} is thread-local", section.name));
        }
    }
    instructions::for_each(&finished.linked, |function, instruction| {
        // `nop` with a prefix is padding.
        if matches!(instruction.segment_prefix(), Register::FS | Register::GS)
            && instruction.mnemonic() != Mnemonic::Nop
            && !reads_vcpu(instruction)
        {
            let at = instruction.ip();
            found.push(format!(
                "{} reads through fs or gs at {at:#x}",
                short(function)
            ));
        }
    });
    found
}

/// Whether it is `mov` of the 32 bits at the start of gs to a register (`machine::vcpu`).
fn reads_vcpu(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Mov
        && instruction.segment_prefix() == Register::GS
        && instruction.memory_base() == Register::None
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
        && instruction.op0_register().size() == 4
}
