//! Numbers that nobody can guess where the processor has a source of its own. Where it has none,
//! all comes from its time stamp counter and the clock, which a neighbour on the machine can read
//! to some ten or twenty bits.
#![expect(
    unsafe_code,
    reason = "the processor's random numbers are read by assembly"
)]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::{clock, vector};

/// Leaf 1 of CPUID, in ecx.
const RDRAND: u32 = 1 << 30;
/// How often the processor is asked before it is taken to have none (Intel's manual has 10).
const TRIES: usize = 10;

static HAS_RDRAND: Once<bool> = Once::new();
/// What every number follows from beside the processor's.
static STATE: AtomicU64 = AtomicU64::new(0);

/// The next number: the processor's own, if it has a source, mixed with what the time stamp counter
/// says, which nobody outside knows to the last bit.
pub(crate) fn next() -> u64 {
    let has_rdrand = *HAS_RDRAND.call_once(|| vector::features() & RDRAND != 0);
    let own = if has_rdrand { rdrand() } else { None };
    let mixed = mix(clock::tsc() ^ clock::now().0.rotate_left(32));
    let state = STATE.fetch_add(mixed | 1, Ordering::Relaxed);
    mix(state ^ mixed) ^ own.unwrap_or_default()
}

/// SplitMix64's last step.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The processor's next random number; `None` if it has none now.
fn rdrand() -> Option<u64> {
    for _ in 0..TRIES {
        let (number, valid): (u64, u8);
        // SAFETY: Xen's CPUID has the instruction, and it writes the register and the flags only.
        unsafe {
            asm!(
                "rdrand {number}",
                "setc {valid}",
                number = out(reg) number,
                valid = out(reg_byte) valid,
                options(nomem, nostack),
            );
        }
        if valid != 0 {
            return Some(number);
        }
    }
    None
}
