//! The image: the entry point and what runs after it.
#![no_std]
#![no_main]

extern crate alloc;

mod entry;

use core::panic::PanicInfo;

use hv::{Hypervisor, SharedMem, ShutdownReason};
use machine::Xen;

fn run(xen: &Xen) -> ! {
    let (ring, port) = xen.console_ring();
    let text = alloc::format!(
        "[{}] boot: {:?} vcpus {} wall {:?} stack {:?} cmdline {:?}\r\n",
        xen.now(), xen.memory_use(), xen.vcpus(), xen.wall_clock(), machine::stack::usage(), xen.command_line()
    );
    for byte in text.bytes() {
        let produced = ring.load_u32(3084);
        ring.write(1024 + (produced % 2048) as usize, &[byte]);
        ring.store_u32(3084, produced + 1);
    }
    let _ = xen.evtchn_send(port);
    while ring.load_u32(3080) != ring.load_u32(3084) {}
    xen.shutdown(ShutdownReason::Poweroff);
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    machine::epitaph::panic(info)
}
