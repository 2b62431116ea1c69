//! The list of what a function can do.

use hv::Hypervisor;

use crate::{Failure, Function};

/// Message signalled interrupts.
pub(crate) const MSI: u8 = 0x05;
/// The same with a table of vectors.
pub(crate) const MSIX: u8 = 0x11;

/// The register that says whether there is a list.
const STATUS: u16 = 0x06;
/// Its bit that does.
const HAS_LIST: u32 = 1 << 4;
/// Where the list begins.
const FIRST: u16 = 0x34;
/// Where it may go on: behind the head, in the first 256 bytes, 4 bytes an entry at least.
const PLACES: usize = (0x100 - 0x40) / 4;

/// Where the function's capability `wanted` is.
pub(crate) async fn find<H: Hypervisor>(
    function: &Function<H>,
    wanted: u8,
) -> Result<Option<u16>, Failure> {
    if function.read(STATUS, 2).await? & HAS_LIST == 0 {
        return Ok(None);
    }
    let mut at = function.read(FIRST, 1).await?;
    // A list that goes in a circle ends all the same.
    for _ in 0..PLACES {
        at &= 0xfc;
        if at < 0x40 {
            return Ok(None);
        }
        let place = at as u16;
        let head = function.read(place, 2).await?;
        if head & 0xff == u32::from(wanted) {
            return Ok(Some(place));
        }
        at = head >> 8;
    }
    Ok(None)
}
