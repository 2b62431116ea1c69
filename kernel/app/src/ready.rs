//! When everything that was there at boot is settled.

use alloc::rc::Rc;
use core::time::Duration;

use exec::{Notify, info, warn};
use geom::Geom;
use hv::Hypervisor;
use pv::Pv;

/// How long tastes may take together. Each has a deadline of its own, but a disk whose size never
/// rests is tasted again and again.
const TASTES: Duration = Duration::from_secs(60);

/// Waits until every device that was there at boot is connected, or known not to be for now, which
/// `devices` waits for, and every provider is tasted, or known not to be for now; then says so.
/// `polled` is told after every poll of GEOM.
pub(crate) async fn ready<H: Hypervisor>(
    pv: Pv<H>,
    devices: impl Future<Output = ()>,
    geom: Geom,
    polled: Rc<Notify>,
) {
    devices.await;
    let tasted = async {
        while !geom.is_settled() {
            polled.notified().await;
        }
    };
    if pv.exec.timeout(TASTES, tasted).await.is_err() {
        let seconds = TASTES.as_secs();
        warn!(
            pv.log,
            "xenolith", "some disks are not tasted after {seconds} s"
        );
    }
    let now = pv.hv.now().since_start();
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    info!(
        pv.log,
        "xenolith", "ready {seconds}.{micros:06} s after entry"
    );
}
