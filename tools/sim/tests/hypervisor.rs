//! The simulated Xen keeps Xen's own rules.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hv::{
    Access, CopyEnd, CopyGrant, DomId, Errno, GrantRef, GrantStatus, Hypervisor, Instant, Page,
    Port, SharedMem, ShutdownReason, Virq,
};
use sim::{Actor, Call, Dom, DomainConfig, Ended, Fault, Next, Stop, When, World, Xen};

const SECOND: Duration = Duration::from_secs(1);

fn two_domains() -> (World, Dom, Dom) {
    let world = World::new(1);
    let one = world.create_domain(DomId(1), DomainConfig::default());
    let two = world.create_domain(DomId(2), DomainConfig::default());
    (world, one, two)
}

/// Writes a version 1 entry, flags last.
fn write_grant(dom: &Dom, entry: u32, peer: DomId, frame: u64, flags: u16) {
    let table = dom.grant_table();
    let at = entry as usize * 8;
    table.write(at + 2, &peer.0.to_le_bytes());
    table.write(at + 4, &u32::try_from(frame).unwrap().to_le_bytes());
    table.write(at, &flags.to_le_bytes());
}

fn flags(dom: &Dom, entry: u32) -> u16 {
    let mut bytes = [0; 2];
    let table = dom.grant_table();
    table.read(entry as usize * 8, &mut bytes);
    u16::from_le_bytes(bytes)
}

fn pending(dom: &Dom, port: Port) -> bool {
    let bits = dom.shared_info().load_u64(2048 + port.0 as usize / 64 * 8);
    bits & 1 << (port.0 % 64) != 0
}

#[test]
fn an_event_sets_the_three_bits_and_the_new_end_is_pending_once() {
    let (_world, one, two) = two_domains();
    let open = one.evtchn_alloc_unbound(two.id()).unwrap();
    let bound = two.evtchn_bind_interdomain(one.id(), open).unwrap();
    assert!(pending(&two, bound) && !pending(&one, open));
    two.evtchn_send(bound).unwrap();
    let info = one.shared_info();
    assert!(pending(&one, open));
    assert_eq!(info.load_u64(8), 1 << (open.0 / 64), "evtchn_pending_sel");
    assert_eq!(info.load_u64(0) & 0xff, 1, "evtchn_upcall_pending");
}

#[test]
fn a_masked_port_collects_its_event_and_asks_for_no_upcall() {
    let (_world, one, two) = two_domains();
    let open = one.evtchn_alloc_unbound(two.id()).unwrap();
    let bound = two.evtchn_bind_interdomain(one.id(), open).unwrap();
    one.shared_info().fetch_or_u64(2560, 1 << open.0);
    two.evtchn_send(bound).unwrap();
    assert!(pending(&one, open));
    assert_eq!(one.shared_info().load_u64(8), 0, "evtchn_pending_sel");
    assert_eq!(
        one.shared_info().load_u64(0) & 0xff,
        0,
        "evtchn_upcall_pending"
    );
}

#[test]
fn only_the_named_domain_may_bind_and_only_once() {
    let (world, one, two) = two_domains();
    let three = world.create_domain(DomId(3), DomainConfig::default());
    let open = one.evtchn_alloc_unbound(two.id()).unwrap();
    let bind = |dom: &Dom| dom.evtchn_bind_interdomain(one.id(), open);
    assert_eq!(bind(&three), Err(Errno::EINVAL));
    let bound = bind(&two).unwrap();
    assert_eq!(bind(&two), Err(Errno::EINVAL));
    // When the one end closes, the other is open for it again.
    two.evtchn_close(bound).unwrap();
    assert_eq!(one.evtchn_send(open), Ok(()));
    assert!(bind(&two).is_ok());
    assert_eq!(one.evtchn_send(Port(77)), Err(Errno::EINVAL));
    assert_eq!(one.evtchn_alloc_unbound(DomId(9)), Err(Errno::ESRCH));
}

#[test]
fn ports_run_out_and_come_back() {
    let world = World::new(1);
    let config = DomainConfig {
        ports: 10,
        ..DomainConfig::default()
    };
    let dom = world.create_domain(DomId(1), config);
    let mut ports = Vec::new();
    let error = loop {
        match dom.evtchn_alloc_unbound(DomId(0)) {
            Ok(port) => ports.push(port),
            Err(error) => break error,
        }
    };
    assert_eq!((error, ports.len()), (Errno::ENOSPC, 8));
    dom.evtchn_close(ports[3]).unwrap();
    assert_eq!(dom.evtchn_close(ports[3]), Err(Errno::EINVAL));
    assert_eq!(dom.evtchn_alloc_unbound(DomId(0)), Ok(ports[3]));
}

#[test]
fn a_mapped_grant_shows_it_in_its_entry() {
    let (_world, one, two) = two_domains();
    let page = one.alloc_page().unwrap();
    page.write(100, b"stone");
    write_grant(&one, 8, two.id(), page.mfn().0, 1);
    let map = |access| two.grant_map(one.id(), &[GrantRef(8)], access).remove(0);
    let read_only = map(Access::ReadOnly).unwrap();
    assert_eq!(flags(&one, 8), 1 | 8);
    let writable = map(Access::ReadWrite).unwrap();
    assert_eq!(flags(&one, 8), 1 | 8 | 16);
    writable.write(105, b"!");
    let mut bytes = [0; 6];
    read_only.read(100, &mut bytes);
    assert_eq!(&bytes, b"stone!");
    drop(writable);
    assert_eq!(flags(&one, 8), 1 | 8);
    assert_eq!(one.xen().usage(one.id()).mapped_by_peers, 1);
    drop(read_only);
    assert_eq!(flags(&one, 8), 1);
    assert_eq!(one.xen().usage(one.id()).mapped_by_peers, 0);
}

#[test]
fn bad_grants_are_refused_with_xens_own_status() {
    let (world, one, two) = two_domains();
    let page = one.alloc_page().unwrap();
    write_grant(&one, 8, DomId(7), page.mfn().0, 1);
    write_grant(&one, 9, two.id(), page.mfn().0, 1 | 4);
    write_grant(&one, 10, two.id(), 0xdead, 1);
    let map = |domain, entry, access| {
        let mut results = two.grant_map(domain, &[GrantRef(entry)], access);
        results.remove(0).map(drop)
    };
    let read = Access::ReadOnly;
    assert_eq!(map(one.id(), 8, read), Err(GrantStatus(-1)), "other domain");
    assert_eq!(map(one.id(), 9, Access::ReadWrite), Err(GrantStatus(-1)));
    assert_eq!(map(one.id(), 9, read), Ok(()));
    assert_eq!(map(one.id(), 10, read), Err(GrantStatus(-9)), "no page");
    assert_eq!(map(one.id(), 11, read), Err(GrantStatus(-1)), "not granted");
    assert_eq!(map(one.id(), 512, read), Err(GrantStatus(-3)));
    assert_eq!(map(DomId(9), 8, read), Err(GrantStatus(-2)));
    assert!(world.violations().is_empty());
    write_grant(&one, 9, two.id(), 0, 0);
    write_grant(&one, 8, two.id(), 0, 0);
}

#[test]
fn a_copy_stays_inside_both_pages() {
    let (_world, one, two) = two_domains();
    let (from, to) = (one.alloc_page().unwrap(), two.alloc_page().unwrap());
    from.write(4090, b"xenoli");
    write_grant(&one, 8, two.id(), from.mfn().0, 1 | 4);
    let copy = |source_offset, length| {
        let copy = CopyGrant {
            source: CopyEnd::Foreign(one.id(), GrantRef(8)),
            source_offset,
            destination: CopyEnd::Local(to.mfn()),
            destination_offset: 10,
            length,
        };
        let mut verdict = Ok(());
        two.grant_copy(&[copy], &mut |_, status| verdict = Err(status));
        verdict
    };
    assert_eq!(copy(4090, 6), Ok(()));
    let mut bytes = [0; 6];
    to.read(10, &mut bytes);
    assert_eq!(&bytes, b"xenoli");
    assert_eq!(copy(4090, 7), Err(GrantStatus(-10)));
    assert_eq!(flags(&one, 8), 1 | 4, "the copy has let go");
    write_grant(&one, 8, two.id(), 0, 0);
}

#[test]
fn l15_a_page_freed_while_mapped_is_caught() {
    let (world, one, two) = two_domains();
    let page = one.alloc_page().unwrap();
    write_grant(&one, 8, two.id(), page.mfn().0, 1);
    let mapping = two.grant_map(one.id(), &[GrantRef(8)], Access::ReadOnly);
    drop(page);
    assert!(world.violations()[0].starts_with("L15: domain 1 freed page"));
    drop(mapping);
}

#[test]
fn l15_a_page_freed_while_still_granted_is_caught() {
    let (world, one, two) = two_domains();
    let page = one.alloc_page().unwrap();
    write_grant(&one, 8, two.id(), page.mfn().0, 1);
    drop(page);
    assert!(world.violations()[0].contains("grant 8 still names it"));
}

#[test]
fn the_grant_table_grows_to_its_limit() {
    let (_world, one, _two) = two_domains();
    let limits = one.grant_limits().unwrap();
    assert_eq!((limits.frames, limits.max_frames), (1, 64));
    for number in 0..64 {
        assert_eq!(one.next_grant_table_page().map(|page| page.0), Ok(number));
    }
    assert_eq!(one.grant_limits().unwrap().frames, 64);
    assert_eq!(one.next_grant_table_page().map(drop), Err(Errno::ENOMEM));
}

#[test]
fn what_the_heap_leaves_for_pages_is_no_room_for_it() {
    let world = World::new(1);
    let config = DomainConfig {
        pages: 80,
        ..DomainConfig::default()
    };
    let dom = world.create_domain(DomId(1), config);
    assert_eq!(dom.heap_room(), 70 * hv::PAGE_SIZE);
    let held: Vec<_> = (0..70).filter_map(|_| dom.alloc_page()).collect();
    assert_eq!((held.len(), dom.memory_use().free), (70, 10));
    assert_eq!(dom.heap_room(), 0);
}

/// A domain of 10 pages that may have 20.
fn growing() -> (World, Dom) {
    let world = World::new(1);
    let config = DomainConfig {
        pages: 10,
        most_pages: 20,
        ..DomainConfig::default()
    };
    let dom = world.create_domain(DomId(1), config);
    (world, dom)
}

fn taken(dom: &Dom, count: usize) -> Vec<sim::Memory> {
    (0..count).map(|_| dom.alloc_page().unwrap()).collect()
}

#[test]
fn pages_are_given_and_got_and_counted() {
    let (world, dom) = growing();
    let mut pages = taken(&dom, 4);
    assert_eq!(dom.give_pages(&mut pages), Ok(4));
    assert!(pages.is_empty());
    assert_eq!((world.reservation(dom.id()), dom.memory_use().free), (6, 6));
    world.set_limit(dom.id(), 0);
    assert_eq!(dom.get_pages(3), Ok(3), "libxl leaves a little");
    world.set_limit(dom.id(), 1000);
    assert_eq!((dom.most_pages(), dom.get_pages(1000)), (20, Ok(11)));
    assert_eq!(dom.get_pages(1), Err(Errno::ENOMEM));
    assert_eq!(
        (world.reservation(dom.id()), dom.memory_use().free),
        (20, 20)
    );
    assert!(world.violations().is_empty());
}

#[test]
fn what_xen_does_not_take_stays() {
    let (world, dom) = growing();
    let fault = Fault::new(dom.id(), Call::GivePages, When::Nth(3), Errno::ENOMEM);
    world.plan_fault(fault);
    let mut pages = taken(&dom, 4);
    let last = pages[3].mfn();
    assert_eq!(dom.give_pages(&mut pages), Ok(2));
    assert_eq!((pages.len(), pages[1].mfn()), (2, last));
    assert_eq!(world.reservation(dom.id()), 8);
}

#[test]
fn l15_a_page_given_away_while_it_is_granted_or_mapped_is_caught() {
    let (world, one) = growing();
    let two = world.create_domain(DomId(2), DomainConfig::default());
    let mut pages = taken(&one, 1);
    write_grant(&one, 8, two.id(), pages[0].mfn().0, 1);
    assert_eq!(one.give_pages(&mut pages), Ok(1));
    assert!(world.violations()[0].contains("grant 8 still names it"));
    let mut pages = taken(&one, 1);
    write_grant(&one, 9, two.id(), pages[0].mfn().0, 1);
    let mapping = two.grant_map(one.id(), &[GrantRef(9)], Access::ReadOnly);
    assert_eq!(one.give_pages(&mut pages), Ok(1));
    assert!(world.violations()[1].contains("while a peer has it mapped"));
    drop(mapping);
}

#[test]
fn a_page_given_away_with_its_data_is_caught() {
    let (world, dom) = growing();
    let mut pages = taken(&dom, 2);
    pages[1].write(4095, b"!");
    assert_eq!(dom.give_pages(&mut pages), Ok(2));
    assert_eq!(world.violations().len(), 1);
    assert!(world.violations()[0].contains("with its data"));
}

#[test]
fn memory_runs_out_and_comes_back() {
    let world = World::new(1);
    let config = DomainConfig {
        pages: 3,
        ..DomainConfig::default()
    };
    let dom = world.create_domain(DomId(1), config);
    let mut pages: Vec<_> = std::iter::from_fn(|| dom.alloc_page()).collect();
    assert_eq!((pages.len(), dom.memory_use().free), (3, 0));
    pages.pop();
    assert_eq!(dom.memory_use().free, 1);
    assert!(dom.alloc_page().is_some());
}

#[test]
fn a_fault_plan_strikes_the_calls_it_names() {
    let (world, one, _two) = two_domains();
    world.plan_fault(Fault::new(
        one.id(),
        Call::AllocUnbound,
        When::Nth(2),
        Errno::ENOSPC,
    ));
    let opened: Vec<_> = (0..3)
        .map(|_| one.evtchn_alloc_unbound(DomId(0)).is_ok())
        .collect();
    assert_eq!(opened, [true, false, true]);
}

#[test]
fn the_timer_is_a_virtual_interrupt_at_its_time() {
    let (world, one, _two) = two_domains();
    let port = one.evtchn_bind_virq(Virq::Timer, 0).unwrap();
    assert_eq!(one.evtchn_bind_virq(Virq::Timer, 0), Err(Errno::EEXIST));
    one.set_timer(Some(Instant(5_000_000)));
    let turns = Rc::new(Cell::new(0));
    let (dom, count) = (one.clone(), turns.clone());
    world.run_domain(&one, move || {
        dom.shared_info().store_u32(0, 0);
        count.set(count.get() + 1);
        None
    });
    assert_eq!(world.run_until(|_| turns.get() == 1, SECOND), Ok(()));
    assert!(!pending(&one, port) && one.now() < Instant(5_000_000));
    assert_eq!(world.run_until(|_| turns.get() == 2, SECOND), Ok(()));
    assert!(pending(&one, port) && one.now() >= Instant(5_000_000));
    assert_eq!(world.run_until(|_| false, SECOND), Err(Stop::Idle));
}

#[test]
fn an_unfed_watchdog_ends_the_domain() {
    let (world, one, two) = two_domains();
    let id = one.watchdog(0, 2 * SECOND).unwrap();
    assert!(two.watchdog(0, SECOND).is_ok());
    world.run_for(SECOND + SECOND / 2).unwrap();
    assert_eq!(one.watchdog(id, 2 * SECOND), Ok(id));
    world.run_for(SECOND).unwrap();
    assert_eq!(world.ended(one.id()), None);
    assert_eq!(world.ended(two.id()), Some(Ended::Watchdog));
    one.shutdown(ShutdownReason::Reboot);
    let ended = Ended::Shutdown(ShutdownReason::Reboot);
    assert_eq!(world.ended(one.id()), Some(ended));
}

/// Notes when it runs.
struct Noter {
    name: char,
    left: u32,
    notes: Rc<RefCell<String>>,
}

impl Actor for Noter {
    fn turn(&mut self, _xen: &Xen) -> Next {
        self.notes.borrow_mut().push(self.name);
        self.left -= 1;
        if self.left == 0 {
            Next::Finished
        } else {
            Next::Again
        }
    }
}

#[test]
fn the_seed_decides_who_runs_first() {
    let order = |seed| {
        let world = World::new(seed);
        let notes = Rc::new(RefCell::new(String::new()));
        for name in ['a', 'b', 'c'] {
            let notes = notes.clone();
            let left = 5;
            let noter = Noter { name, left, notes };
            world.spawn(name.to_string(), Rc::new(RefCell::new(noter)));
        }
        assert_eq!(world.run_until(|_| false, SECOND), Err(Stop::Idle));
        let order = notes.borrow().clone();
        (order, world.now())
    };
    assert_eq!(order(3), order(3));
    assert_eq!(order(3).0.len(), 15);
    assert!((4..20).any(|seed| order(seed).0 != order(3).0));
}

#[test]
fn a_broken_law_stops_the_run() {
    let (world, one, _two) = two_domains();
    let dom = one.clone();
    world.run_domain(&one, move || Some(dom.now().after(SECOND)));
    world.add_oracle(|xen| (xen.now() > Instant(3_000_000_000)).then(|| "too late".into()));
    let stop = world.run_until(|_| false, 10 * SECOND);
    assert_eq!(stop, Err(Stop::Violation("too late".into())));
}

#[test]
fn a_destroyed_domain_lets_go_of_its_ports() {
    let (world, one, two) = two_domains();
    let open = one.evtchn_alloc_unbound(two.id()).unwrap();
    two.evtchn_bind_interdomain(one.id(), open).unwrap();
    world.destroy_domain(two.id());
    assert!(!world.exists(two.id()));
    assert_eq!(world.usage(two.id()).ports, 0);
    assert_eq!(one.evtchn_send(open), Ok(()));
    assert_eq!(one.evtchn_alloc_unbound(two.id()), Err(Errno::ESRCH));
}
