//! What leaving needs was reserved on arrival.

use std::time::Duration;

use allocation_counter::measure;
use geom::{Access, Errno};
use hv::Hypervisor;
use pv::Pv;
use sim::storage::{GUEST, Storage, XVDA};
use sim::{Blkback, BlkbackConfig, Disk, DomainConfig, Guest, Toolstack, World};
use xenbus::Frontend;
use xenbus::state::XenbusState;

use super::{Identity, Link};
use crate::keys::{medium, offers};
use crate::late::Leavings;

const MILLISECOND: Duration = Duration::from_millis(1);

/// Connects `xvda` as its device's task does.
async fn connect<H: Hypervisor>(
    pv: &Pv<H>,
    store: &xenbus::Store,
    geom: &geom::Geom,
) -> Option<Link<H>> {
    let frontend = Frontend::open(store, "vbd", XVDA).await.ok()?;
    let wait_for = async |state| {
        while frontend.backend_state().await != Ok(Some(state)) {
            pv.exec.sleep(MILLISECOND).await;
        }
    };
    let identity = Identity {
        name: "xbd0".into(),
        unit: 0,
        number: XVDA,
    };
    wait_for(XenbusState::InitWait).await;
    let features = offers(&frontend, 2).await.ok()?.accept(2);
    let late = Leavings::new(pv, 1).reserve(frontend.backend_domain(), &identity.name);
    let (mut link, keys) = Link::new(
        pv,
        &frontend,
        &identity,
        features,
        true,
        late,
        std::rc::Rc::default(),
    )
    .ok()?;
    let published = frontend.publish(&keys, XenbusState::Initialised);
    published.await.ok()?;
    wait_for(XenbusState::Connected).await;
    let medium = medium(&frontend).await.ok()?;
    link.set_medium(pv, geom, &identity, medium).ok()?;
    Some(link)
}

#[test]
fn a_connection_leaves_without_memory() {
    let world = World::new(1);
    let toolstack = Toolstack::start(&world);
    let guest = Guest::start(&world, &toolstack, GUEST, DomainConfig::default());
    let (vbd, disk) = (Storage::vbd(XVDA), Disk::new());
    let config = BlkbackConfig {
        queues: Some(2),
        ..BlkbackConfig::default()
    };
    let backend = Blkback::attach(&world, &toolstack, vbd, &disk, config);
    backend.set_held(true);
    let (pv, store, geom) = (guest.pv.clone(), guest.store.clone(), guest.geom.clone());
    let left = guest.run(&world, async move {
        let mut link = connect(&pv, &store, &geom).await.unwrap();
        pv.exec.sleep(MILLISECOND).await;
        // So many that some wait, and that the backend has every page mapped: the simulator itself
        // allocates when a page is freed.
        let device = geom.open("xbd0", Access::READ).unwrap();
        let reads: Vec<_> = (0..1000).map(|_| device.read(0, 4096)).collect();
        link.turn().unwrap();
        pv.exec.sleep(MILLISECOND).await;
        let state = (
            link.queues.outstanding(),
            link.door.waiting().borrow().len(),
        );
        assert!(state.0 > 50 && state.1 > 100, "{state:?}");

        let spent = measure(|| link.leave()).count_total;
        let parked = pv.grants.usage().parked;
        for read in reads {
            assert_eq!(read.await, Err(Errno::NoDevice));
        }
        (spent, parked > 100)
    });
    assert_eq!(left.unwrap(), (0, true));
    drop(backend);
}
