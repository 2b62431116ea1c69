//! Who called whom: the chain of frame pointers (`-Cforce-frame-pointers=yes`).
#![expect(unsafe_code, reason = "it reads the stack")]

use core::arch::asm;
use core::fmt;
use core::ops::Range;
use core::ptr;

use crate::{image, vcpu};

/// Callers shown at most.
const DEPTH: usize = 40;

/// Writes a line per caller of the function that calls this.
pub(crate) fn write_callers(out: &mut dyn fmt::Write) -> fmt::Result {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    match caller(frame) {
        Some((next, address)) => write(out, address, next),
        None => Ok(()),
    }
}

/// Writes a line per caller: `#0 0xffffffff80001234 name+0x14`. The first is `rip` itself, the
/// others are return addresses, found from `rbp` on.
pub(crate) fn write(out: &mut dyn fmt::Write, rip: u64, rbp: u64) -> fmt::Result {
    write_line(out, 0, rip, 0)?;
    let mut frame = rbp;
    for number in 1..DEPTH {
        let Some((next, caller)) = caller(frame) else {
            return Ok(());
        };
        // A call that does not return may be its function's last instruction.
        write_line(out, number, caller, 1)?;
        if next <= frame {
            return Ok(());
        }
        frame = next;
    }
    writeln!(out, "#{DEPTH} ...")
}

fn write_line(out: &mut dyn fmt::Write, number: usize, address: u64, back: u64) -> fmt::Result {
    match image::names().and_then(|names| names.lookup(address - back)) {
        Some((name, offset)) => {
            writeln!(out, "#{number} {address:#018x} {name}+{:#x}", offset + back)
        }
        None => writeln!(out, "#{number} {address:#018x}"),
    }
}

/// The frame pointer and return address that `frame` points to, if it points into a stack and the
/// address into the image.
fn caller(frame: u64) -> Option<(u64, u64)> {
    let inside = |stack: &Range<u64>| frame >= stack.start && frame < stack.end - 8;
    let on_stack = inside(&image::stack()) || vcpu::stacks().any(|stack| inside(&stack));
    if !on_stack || !frame.is_multiple_of(8) {
        return None;
    }
    let pointer = ptr::with_exposed_provenance::<[u64; 2]>(frame as usize);
    // SAFETY: both words lie in a stack, which is always mapped.
    let [next, address] = unsafe { pointer.read_volatile() };
    image::text().contains(&address).then_some((next, address))
}
