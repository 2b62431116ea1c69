//! Suspensions that are cancelled, refused, or go on in another life, again and again.

use hv::{Access, DomId, Errno, Hypervisor, Resumed};
use sim::storage::XVDA;
use sim::{
    BlkbackConfig, Call, Disk, DomainConfig, Fault, Guest, Machine, Storage, Vbd, When, Xen,
};

use crate::setting::{ANEW, BLOCK, BLOCKS, CANCELLED, GUEST, SECOND, Scene, XVDB, honest};

#[test]
fn s50_a_suspension_that_is_cancelled_leaves_everything_as_it_was() {
    let scene = Scene::new(1, honest());
    for _ in 0..20 {
        let rings = scene.backend().served().ring_entries;
        scene.suspend(CANCELLED);
        scene.works();
        assert_eq!(scene.backend().served().ring_entries, rings);
    }
    assert_eq!(scene.shown("xbd0: vbd"), 1, "it was not connected again");
    scene.is_whole();
}

#[test]
fn s49_every_life_goes_on_with_its_disk_and_loses_or_repeats_no_write() {
    let scene = Scene::new(2, honest());
    for life in 0..20 {
        scene.save(Some(honest()));
        scene.suspend(ANEW);
        scene.works();
        assert!(scene.backend().is_connected(), "life {life}");
        scene.is_whole();
    }
    // Nothing of the former lives is left.
    let usage = scene.machine.domain.pv.grants.usage();
    assert_eq!(usage.parked, 0, "{usage:?}");
    for feature in ["poweroff", "reboot", "suspend"] {
        let node = format!("/local/domain/{GUEST}/control/feature-{feature}");
        let said = scene.machine.toolstack.store().read(&node);
        assert_eq!(said.as_deref(), Some("1"), "{feature}");
    }
    assert!(!scene.machine.command("help").is_empty(), "the console");
}

#[test]
fn s52_an_ordered_write_that_waits_for_others_is_done_in_the_next_life() {
    let slow = BlkbackConfig {
        latency: SECOND,
        ..honest()
    };
    let scene = Scene::new(4, slow.clone());
    let place = BLOCKS * BLOCK;
    let device = scene.open(geom::Access::READ_WRITE);
    let outcome = scene.ask(async move {
        let written = device.write_ordered(place, vec![0x52; BLOCK as usize]);
        written.await.map(|_| ())
    });
    scene.save(Some(slow));
    scene.suspend(ANEW);
    assert_eq!(outcome.get(), None, "others were under way until then");
    assert_eq!(scene.disk.bytes(place, 1), [0]);
    scene.machine.run_for(5 * SECOND);
    assert_eq!(outcome.get(), Some(Ok(())));
    assert_eq!(
        scene.disk.bytes(place, BLOCK as usize),
        [0x52; BLOCK as usize]
    );
    scene.works();
    scene.is_whole();
}

#[test]
fn s49_a_backend_that_does_not_answer_is_a_reason_to_refuse_and_nothing_is_lost() {
    let scene = Scene::new(4, honest());
    scene.backend().set_held(true);
    scene.suspend("suspend: warning: refused: requests are not answered for 30 s");
    scene.backend().set_held(false);
    scene.works();
    scene.save(Some(honest()));
    scene.suspend(ANEW);
    scene.works();
    scene.is_whole();
}

#[test]
fn xen_refuses_and_the_domain_goes_on() {
    let scene = Scene::new(5, honest());
    let fault = Fault::new(GUEST, Call::Suspend, When::Nth(1), Errno::ENOMEM);
    scene.machine.world.plan_fault(fault);
    scene.suspend("suspend: warning: refused");
    scene.works();
    scene.is_whole();
}

#[test]
fn a_disk_that_the_next_life_has_not_is_gone_once() {
    let scene = Scene::new(6, honest());
    scene.save(None);
    scene.suspend(ANEW);
    scene.machine.until_shown("geom: xbd0 gone");
    scene.machine.run_for(60 * SECOND);
    assert_eq!(scene.shown("xbd0 gone"), 1, "{}", scene.output());
    assert_eq!(scene.load.errors.get(), 8, "all that waited failed");
    assert_eq!(scene.came_and_went(), (1, 1));
}

#[test]
fn a_disk_whose_next_backend_never_connects_is_gone_in_time() {
    let scene = Scene::new(7, honest());
    let (backend, toolstack) = (scene.backend(), scene.machine.toolstack.clone());
    let console = scene.machine.console.clone();
    scene.machine.world.at_suspension(GUEST, move |_: &Xen| {
        backend.crash();
        toolstack.renew_domain(GUEST, "xenolith", DomainConfig::default());
        console.bind(GUEST);
        toolstack.create_vbd(&Storage::vbd(XVDA), false);
        Resumed::Anew
    });
    scene.suspend(ANEW);
    scene.machine.until_shown("the backend does not connect");
    scene.machine.until_shown("geom: xbd0 gone");
    assert_eq!(scene.load.errors.get(), 8, "all that waited failed");
}

#[test]
fn a_client_of_an_export_is_a_reason_to_refuse() {
    let machine = Machine::boot(8, "md=ram:1M");
    machine.until_shown("ready");
    let client = DomId(2);
    let (world, toolstack) = (&machine.world, &machine.toolstack);
    let guest = Guest::with_disks(world, toolstack, client, DomainConfig::default());
    let vbd = Vbd {
        guest: client,
        backend: GUEST,
        devid: XVDA,
    };
    toolstack.create_vbd_of(&vbd, "md0", "w");
    machine.until("the client's disk", |_| {
        guest.geom.provider("xbd0").is_some()
    });
    toolstack.shutdown(GUEST, "suspend");
    machine.until_shown("suspend: warning: refused: domain 2 uses md0");
    assert!(guest.geom.provider("xbd0").is_some());
}

#[test]
fn a_port_and_a_grant_of_a_former_life_are_nothing_to_this_one() {
    let storage = Storage::new(9);
    let (pv, xen) = (&storage.guest.pv, storage.world.xen());
    let grant = || {
        let page = pv.hv.alloc_page().expect("a page");
        pv.grants
            .grant(page, DomId(0), Access::ReadWrite)
            .expect("a grant")
    };
    let (port, granted) = (pv.events.alloc_unbound(DomId(0), "former"), grant());
    let former = port.expect("a port");
    storage
        .toolstack
        .renew_domain(GUEST, "guest", DomainConfig::default());
    assert!(pv.begin_anew().is_empty());
    let port = pv.events.alloc_unbound(DomId(0), "this").expect("a port");
    let this = grant();
    assert_eq!(
        (former.port(), granted.reference()),
        (port.port(), this.reference())
    );
    former.notify();
    assert!(!former.is_connected());
    granted.park();
    drop(former);
    drop(granted);
    assert_eq!(pv.grants.usage().parked, 0);
    let peer = xen.grant_map_one(DomId(0), GUEST, this.reference(), Access::ReadWrite);
    assert!(peer.is_ok(), "it is still granted");
    assert!(this.is_mapped());
    let bound = xen.evtchn_bind_interdomain(DomId(0), GUEST, port.port());
    assert!(bound.is_ok(), "it is still open");
    assert!(port.is_connected());
}

#[test]
fn a_domain_that_went_on_after_a_long_time_still_hears_the_toolstack() {
    let scene = Scene::new(10, honest());
    scene.machine.world.at_suspension(GUEST, |xen: &Xen| {
        xen.pass_to(xen.now().after(90 * SECOND));
        Resumed::Cancelled
    });
    scene.suspend(CANCELLED);
    scene.works();
    scene.suspend(CANCELLED);
    scene.machine.toolstack.shutdown(GUEST, "poweroff");
    scene
        .machine
        .until("its end", |machine| machine.ended().is_some());
}

#[test]
fn x05_a_second_wish_is_answered_by_the_first_suspension() {
    let scene = Scene::new(11, honest());
    scene.backend().set_held(true);
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    scene.save(Some(honest()));
    scene.backend().set_held(false);
    scene.machine.until_shown(ANEW);
    scene.works();
    assert_eq!(scene.shown("suspend:"), 1, "{}", scene.output());
}

#[test]
fn a_disk_that_is_replaced_while_another_holds_the_domain_up_goes_and_comes() {
    let scene = Scene::new(12, honest());
    let other = scene.machine.attach(XVDB, &Disk::new(), honest());
    scene.machine.until_shown("xbd1: vbd");
    scene.machine.run_for(SECOND);
    scene.backend().set_held(true);
    scene.ask_to_suspend();
    scene.machine.run_for(SECOND);
    let detach = scene.machine.toolstack.detach(&other.vbd(), true);
    scene
        .machine
        .until("the detach", |_| detach.outcome().is_some());
    scene.machine.until_shown("xbd1 gone");
    let _again = scene.machine.attach(XVDB, &Disk::new(), honest());
    scene.backend().set_held(false);
    scene.machine.until_shown(CANCELLED);
    scene.has_second();
    scene.works();
}
