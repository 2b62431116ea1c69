//! The image: what Xen enters, and the run loop over the domain that `app` puts together.
#![no_std]
#![no_main]

mod entry;

use core::panic::PanicInfo;

use app::{Domain, Next};
use exec::info;
use hv::{Hypervisor, ShutdownReason};
use machine::{Xen, epitaph};

/// Runs the domain until it ends.
fn run(xen: &Xen) -> ! {
    let domain = Domain::start(xen.clone(), xen.command_line());
    let trace = domain.pv.trace.clone();
    epitaph::set_trace(move |out| {
        trace.try_for_each(|entry| {
            // A console that takes no more is the epitaph's own concern.
            let _cut_short = writeln!(out, "{entry}");
        });
    });
    let blkback = domain.blkback.clone();
    epitaph::set_last_words(move || blkback.last_words());
    let means = if xen.has_avx() { "AVX" } else { "rep movsq" };
    info!(domain.pv.log, "boot", "pages are copied by {means}");
    if xen.vcpus() > 1 {
        let vcpus = xen.vcpus();
        info!(
            domain.pv.log,
            "boot", "{vcpus} vCPUs; running on the first only"
        );
    }
    loop {
        match domain.turn() {
            Next::Turn => {}
            Next::Sleep => xen.block(),
            // With the epitaph of any other crash: it is asked for to see one.
            Next::End(ShutdownReason::Crash) => panic!("a crash was asked for"),
            Next::End(reason) => xen.shutdown(reason),
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    epitaph::panic(info)
}
