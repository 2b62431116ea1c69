//! Uses something up until the domain ends of it: what an overflow of the stack and a failed
//! allocation look like from dom0 can so be seen in the image as it is shipped.

use alloc::vec::Vec;
use core::hint::black_box;

use crate::request::Resource;

/// What is allocated at once, in bytes.
const PIECE: usize = 64 << 10;

/// Uses up all of it.
pub(super) fn all_of(resource: Resource) -> ! {
    loop {
        match resource {
            Resource::Stack => drop(black_box(deeper(0))),
            Resource::Memory => drop(black_box(Vec::<u8>::with_capacity(PIECE).leak())),
        }
    }
}

/// Calls itself, with a frame of much less than a guard page.
#[expect(
    unconditional_recursion,
    reason = "the end of the stack is what is wanted"
)]
fn deeper(depth: usize) -> usize {
    let frame = black_box([depth; 32]);
    let below = deeper(depth + 1);
    // The frame is needed afterwards, so this is no loop.
    below + black_box(&frame).len()
}
