//! Answers that come when their requests have been failed.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::Cell;
use core::time::Duration;

use hv::Hypervisor;
use pv::Pv;

use crate::queue::Remnant;

/// How long late answers are counted.
const LATE: Duration = Duration::from_secs(60);

/// Looks at a ring whose requests have been failed, until the backend lets go of it.
pub(crate) async fn count_late<H: Hypervisor>(
    pv: Pv<H>,
    mut remnant: Remnant<H>,
    count: Rc<Cell<u64>>,
    name: String,
) {
    let until = pv.exec.now().after(LATE);
    let mut late = 0;
    let mut pause = Duration::from_millis(10);
    while remnant.is_mapped() && pv.exec.now() < until {
        pv.exec.sleep(pause).await;
        late += remnant.late();
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    late += remnant.late();
    count.set(count.get() + late);
    if late != 0 {
        exec::info!(
            pv.log,
            &name,
            "{late} answers came too late and were dropped"
        );
    }
}
