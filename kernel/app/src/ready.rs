//! When everything that was there at boot is settled.

use alloc::rc::Rc;

use blkfront::Blkfront;
use exec::{Notify, info};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;

/// Waits until every device that was there at boot is connected, or known not to be for now, and
/// every provider is tasted, or known not to be for now; then says so. `polled` is told after every
/// poll of GEOM.
pub(crate) async fn ready<H: Hypervisor>(
    pv: Pv<H>,
    blkfront: Blkfront<H>,
    geom: Geom,
    polled: Rc<Notify>,
) {
    blkfront.settled().await;
    while !geom.is_settled() {
        polled.notified().await;
    }
    let now = pv.hv.now().since_start();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    info!(
        pv.log,
        "xenolith", "ready {seconds}.{micros:06} s after entry"
    );
}
