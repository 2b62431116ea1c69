//! Turning what runs until it ends.

use core::panic::PanicInfo;

use app::Next;
use exec::info;
use hv::{Hypervisor, ShutdownReason};
use machine::{Xen, epitaph, vcpu};
use pv::Pv;

/// Turns by `turn` until it says that the domain ends.
pub(crate) fn run(xen: &Xen, pv: &Pv<Xen>, turn: impl Fn() -> Next) -> ! {
    let trace = pv.trace.clone();
    epitaph::set_trace(move |out| {
        trace.try_for_each(|entry| {
            // A console that takes no more is the epitaph's own concern.
            let _cut_short = writeln!(out, "{entry}");
        });
    });
    let means = if xen.has_avx() { "AVX" } else { "rep movsq" };
    info!(pv.log, "boot", "pages are copied by {means}");
    turn_for_ever(xen, turn)
}

/// Turns, and does what is next, until the domain ends.
pub(crate) fn turn_for_ever(xen: &Xen, turn: impl Fn() -> Next) -> ! {
    loop {
        // Another vCPU has the last words.
        if vcpu::is_stopped() {
            xen.vcpu_down();
        } else {
            follow(xen, turn());
        }
    }
}

fn follow(xen: &Xen, next: Next) {
    match next {
        Next::Turn => {}
        Next::Sleep => xen.block(),
        Next::Stop => xen.vcpu_down(),
        // With the epitaph of any other crash: it is asked for to see one.
        Next::End(ShutdownReason::Crash) => panic!("a crash was asked for"),
        Next::End(reason) => xen.shutdown(reason),
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    epitaph::panic(info)
}
