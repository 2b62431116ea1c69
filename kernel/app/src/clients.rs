//! Who would lose a disk with the domain.

use alloc::format;
use alloc::string::String;

use blkback::Blkback;
use hv::Hypervisor;

/// Somebody who uses an export, as people read it.
pub(crate) fn of<H: Hypervisor>(blkback: &Blkback<H>) -> Option<String> {
    if !blkback.has_clients() {
        return None;
    }
    let exports = blkback.own_exports();
    let served = exports.iter().find(|export| export.is_in_use());
    let who = served.map(|export| format!("domain {} uses {}", export.frontend, export.provider));
    Some(who.unwrap_or_else(|| String::from("a client has not let go of its disk")))
}
