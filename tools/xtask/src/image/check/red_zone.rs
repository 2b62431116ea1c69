//! Xen pushes the frame of an exception or event right below the stack pointer, so nothing may be
//! kept there. Precompiled core contains a few functions that do; none of them may be linked.
//!
//! Looked for: a memory operand -N(%rsp) without an index register. With an index it is ordinary
//! addressing of an array on the stack, whose index makes up for the negative offset. `lea` into
//! rsp itself only moves the stack pointer. A false alarm would be code that has just moved rsp up
//! and looks back at what it popped; no compiler does, and an alarm from hand-written assembly is
//! worth reading.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::super::names::short;
use super::{Finished, instructions};

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let mut found = Vec::new();
    let mut decoded = 0_usize;
    instructions::for_each(&finished.linked, |function, instruction| {
        decoded += 1;
        if is_below_stack_pointer(instruction) {
            let at = instruction.ip();
            found.push(format!(
                "{} uses memory below rsp at {at:#x}",
                short(function)
            ));
        }
    });
    if decoded == 0 {
        found.push("no instructions were found to look at".to_owned());
    }
    found
}

fn is_below_stack_pointer(instruction: &Instruction) -> bool {
    let moves_rsp =
        instruction.mnemonic() == Mnemonic::Lea && instruction.op0_register() == Register::RSP;
    instruction.op_kinds().any(|kind| kind == OpKind::Memory)
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64().cast_signed() < 0
        && !moves_rsp
}
