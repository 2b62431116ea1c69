//! The shipped grant table and event channels against Xen's rules.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use hv::{Access, DomId, Errno, GrantRef, Hypervisor, PAGE_SIZE, SharedMem};
use pv::{GrantRefusal, Granted, Pv};
use sim::{Call, Dom, DomainConfig, Fault, Guest, Memory, Rng, Toolstack, When, World};

const ONE: DomId = DomId(1);
const PEER: DomId = DomId(0);
const SECOND: Duration = Duration::from_secs(1);

fn guest(seed: u64, config: DomainConfig) -> (World, Guest) {
    let world = World::new(seed);
    let toolstack = Toolstack::start(&world);
    let guest = Guest::start(&world, &toolstack, ONE, config);
    world.run_for(SECOND).unwrap();
    (world, guest)
}

fn grant(pv: &Pv<Dom>, access: Access) -> Granted<Dom> {
    let page = pv.hv.alloc_page().unwrap();
    pv.grants.grant(page, PEER, access).unwrap()
}

fn map(world: &World, entry: GrantRef, access: Access) -> Option<Memory> {
    world.grant_map_one(PEER, ONE, entry, access).ok()
}

#[test]
fn a_granted_page_is_the_peers_to_map_until_the_grant_ends() {
    let (world, guest) = guest(1, DomainConfig::default());
    let granted = grant(&guest.pv, Access::ReadOnly);
    let entry = granted.reference();
    granted.write(7, b"rock");
    assert!(map(&world, entry, Access::ReadWrite).is_none());
    let mapping = map(&world, entry, Access::ReadOnly).unwrap();
    let mut bytes = [0; 4];
    mapping.read(7, &mut bytes);
    assert_eq!(&bytes, b"rock");
    assert!(granted.is_mapped());
    drop(mapping);
    assert!(!granted.is_mapped());
    assert!(granted.end().is_some());
    assert!(map(&world, entry, Access::ReadOnly).is_none());
    assert_eq!(world.usage(ONE).grants, 0);
}

#[test]
fn c09_a_page_still_mapped_is_parked_and_comes_back_when_the_peer_lets_go() {
    let (world, guest) = guest(2, DomainConfig::default());
    let before = (world.usage(ONE), guest.pv.grants.usage());
    let granted = grant(&guest.pv, Access::ReadWrite);
    let mapping = map(&world, granted.reference(), Access::ReadWrite).unwrap();
    assert!(granted.end().is_none());
    assert_eq!(guest.pv.grants.usage().parked, 1);
    assert_eq!(guest.pv.grants.sweep(), 0);
    mapping.write(0, b"late");
    drop(mapping);
    assert_eq!(guest.pv.grants.sweep(), 1);
    assert_eq!(guest.pv.grants.usage().parked, 0);
    let mut after = guest.pv.grants.usage();
    assert_eq!(after.parked_ever, 1);
    // The table has grown by its first page; nothing else is different.
    after.parked_ever = 0;
    assert_eq!(
        (after.granted, after.parked),
        (before.1.granted, before.1.parked)
    );
    assert_eq!(world.usage(ONE), before.0);
    assert!(world.violations().is_empty(), "{:?}", world.violations());
}

#[test]
fn c09_what_is_parked_is_swept_without_being_asked() {
    let (world, guest) = guest(3, DomainConfig::default());
    let pv = &guest.pv;
    pv.exec
        .spawn("reclaim", pv.grants.clone().reclaim(pv.exec.clone()));
    let granted = grant(pv, Access::ReadWrite);
    let mapping = map(&world, granted.reference(), Access::ReadWrite).unwrap();
    drop(granted);
    world.wake_domain(ONE);
    world.run_for(30 * SECOND).unwrap();
    assert_eq!(pv.grants.usage().parked, 1);
    drop(mapping);
    world.run_for(2 * SECOND).unwrap();
    assert_eq!(pv.grants.usage().parked, 0);
    assert_eq!(world.usage(ONE).pages, 0);
}

#[test]
fn s56_a_full_grant_table_refuses_and_gives_the_page_back() {
    let config = DomainConfig {
        grant_frames: 2,
        ..DomainConfig::default()
    };
    let (world, guest) = guest(4, config);
    let pv = &guest.pv;
    let mut all = Vec::new();
    let refusal = loop {
        let page = pv.hv.alloc_page().unwrap();
        match pv.grants.grant(page, PEER, Access::ReadWrite) {
            Ok(granted) => all.push(granted),
            Err(error) => break error.refusal,
        }
    };
    assert_eq!((refusal, all.len()), (GrantRefusal::TableFull, 1024 - 8));
    all.pop();
    all.push(grant(pv, Access::ReadWrite));
    drop(all);
    assert_eq!(world.usage(ONE).grants, 0);
    assert_eq!(world.usage(ONE).pages, 0);
}

#[test]
fn s56_a_table_that_xen_does_not_grow_is_an_error_and_not_the_end() {
    let (world, guest) = guest(5, DomainConfig::default());
    let fault = Fault::new(ONE, Call::NextGrantTablePage, When::Nth(1), Errno::ENOMEM);
    world.plan_fault(fault);
    let page = guest.pv.hv.alloc_page().unwrap();
    let error = guest
        .pv
        .grants
        .grant(page, PEER, Access::ReadWrite)
        .err()
        .unwrap();
    assert_eq!(error.refusal, GrantRefusal::Xen(Errno::ENOMEM));
    assert!(
        guest
            .pv
            .grants
            .grant(error.page, PEER, Access::ReadWrite)
            .is_ok()
    );
}

#[test]
fn l15_no_order_of_granting_mapping_and_ending_frees_a_mapped_page() {
    for seed in 0..200 {
        let config = DomainConfig {
            pages: 40,
            grant_frames: 1,
            ..DomainConfig::default()
        };
        let (world, guest) = guest(seed, config);
        let rng = Rng::new(seed);
        let mut granted: Vec<Granted<Dom>> = Vec::new();
        let mut mapped: Vec<Memory> = Vec::new();
        for _ in 0..400 {
            match rng.below(5) {
                0 | 1 => {
                    if let Some(page) = guest.pv.hv.alloc_page() {
                        let access = if rng.one_in(2) {
                            Access::ReadOnly
                        } else {
                            Access::ReadWrite
                        };
                        let result = guest.pv.grants.grant(page, PEER, access);
                        granted.push(result.map_err(|error| error.refusal).unwrap());
                    }
                }
                // Whatever reference the peer tries, mapped or not, its own or a stale one.
                2 => {
                    let entry = GrantRef(8 + u32::try_from(rng.below(40)).unwrap());
                    mapped.extend(map(&world, entry, Access::ReadOnly));
                }
                3 if !mapped.is_empty() => {
                    mapped.swap_remove(rng.index(mapped.len()));
                }
                _ if !granted.is_empty() => {
                    drop(granted.swap_remove(rng.index(granted.len())));
                }
                _ => {
                    guest.pv.grants.sweep();
                }
            }
            assert_eq!(world.violations(), Vec::<String>::new(), "seed {seed}");
        }
        mapped.clear();
        granted.clear();
        guest.pv.grants.sweep();
        assert_eq!(world.usage(ONE).pages, 0, "seed {seed}");
        assert_eq!(guest.pv.grants.usage().parked, 0, "seed {seed}");
    }
}

#[test]
fn an_event_before_the_wait_or_during_it_ends_the_wait() {
    let (world, guest) = guest(6, DomainConfig::default());
    let channel = guest.pv.events.alloc_unbound(PEER, "test").unwrap();
    let peer = world
        .evtchn_bind_interdomain(PEER, ONE, channel.port())
        .unwrap();
    world.evtchn_send(PEER, peer).unwrap();
    let woken = Rc::new(Cell::new(0));
    let count = woken.clone();
    guest.pv.exec.spawn("waiter", async move {
        loop {
            channel.wait().await;
            count.set(count.get() + 1);
        }
    });
    world.wake_domain(ONE);
    world.run_for(SECOND).unwrap();
    assert_eq!(woken.get(), 1);
    for expected in 2..6 {
        world.evtchn_send(PEER, peer).unwrap();
        world.run_for(SECOND).unwrap();
        assert_eq!(woken.get(), expected);
    }
}

#[test]
fn c05_a_storm_on_a_port_that_nobody_serves_costs_one_turn() {
    let (world, guest) = guest(7, DomainConfig::default());
    let channel = guest.pv.events.alloc_unbound(PEER, "storm").unwrap();
    let peer = world
        .evtchn_bind_interdomain(PEER, ONE, channel.port())
        .unwrap();
    let before = world.steps();
    for _ in 0..100_000 {
        world.evtchn_send(PEER, peer).unwrap();
        while world.upcall_pending(ONE, 0) {
            world.step().unwrap();
        }
    }
    assert!(world.steps() - before <= 1, "{}", world.steps() - before);
    drop(channel);
}

#[test]
fn c05_a_storm_without_work_is_looked_at_ever_more_rarely() {
    let (world, guest) = guest(8, DomainConfig::default());
    let channel = guest.pv.events.alloc_unbound(PEER, "storm").unwrap();
    let peer = world
        .evtchn_bind_interdomain(PEER, ONE, channel.port())
        .unwrap();
    let looked = Rc::new(Cell::new(0));
    let count = looked.clone();
    guest.pv.exec.spawn("owner", async move {
        loop {
            channel.wait().await;
            count.set(count.get() + 1);
            channel.was_spurious();
        }
    });
    world.wake_domain(ONE);
    for _ in 0..20_000 {
        world.run_for(Duration::from_micros(50)).unwrap();
        world.evtchn_send(PEER, peer).unwrap();
    }
    // A second of storm, and a pause of 16 ms after each look but the first few.
    assert!((10..120).contains(&looked.get()), "{}", looked.get());
}

#[test]
fn a_dropped_channel_is_closed_and_its_port_used_again() {
    let (world, guest) = guest(9, DomainConfig::default());
    let before = world.usage(ONE).ports;
    let channel = guest.pv.events.alloc_unbound(PEER, "one").unwrap();
    let port = channel.port();
    drop(channel);
    assert_eq!(world.usage(ONE).ports, before);
    let again = guest.pv.events.alloc_unbound(PEER, "two").unwrap();
    assert_eq!(again.port(), port);
}

#[test]
fn a_span_is_the_peers_to_read_and_nobodys_else_to_write() {
    let (world, guest) = guest(30, DomainConfig::default());
    let before = guest.pv.grants.usage();
    let span = guest.pv.hv.alloc_span(3).unwrap();
    let mut granted = guest.pv.grants.grant_span(span, PEER).unwrap();
    granted.write(|bytes| {
        assert!(bytes.iter().all(|byte| *byte == 0));
        bytes[PAGE_SIZE - 2..PAGE_SIZE + 2].copy_from_slice(b"rock");
    });
    let entries: Vec<_> = granted.references().collect();
    assert_eq!((entries.len(), granted.pages()), (3, 3));
    for entry in &entries {
        assert!(map(&world, *entry, Access::ReadWrite).is_none());
    }
    let (mut head, mut tail) = ([0; 2], [0; 2]);
    let maps: Vec<_> = entries
        .iter()
        .map(|entry| map(&world, *entry, Access::ReadOnly).unwrap())
        .collect();
    maps[0].read(PAGE_SIZE - 2, &mut head);
    maps[1].read(0, &mut tail);
    assert_eq!((&head, &tail), (b"ro", b"ck"));
    drop(maps);
    drop(granted);
    assert!(map(&world, entries[1], Access::ReadOnly).is_none());
    let after = guest.pv.grants.usage();
    assert_eq!((after.granted, after.parked), (before.granted, 0));
    assert_eq!(world.usage(ONE).grants, 0);
}

#[test]
fn c09_of_a_span_only_what_is_mapped_is_parked() {
    let (world, guest) = guest(31, DomainConfig::default());
    let before = world.usage(ONE).pages;
    let span = guest.pv.hv.alloc_span(4).unwrap();
    let granted = guest.pv.grants.grant_span(span, PEER).unwrap();
    let entry = granted.references().nth(2).unwrap();
    let mapping = map(&world, entry, Access::ReadOnly).unwrap();
    drop(granted);
    let grants = &guest.pv.grants;
    assert_eq!(grants.usage().parked, 1);
    assert_eq!((grants.parked_by(PEER), grants.parked_by(DomId(9))), (1, 0));
    assert_eq!(
        world.usage(ONE).pages,
        before + 1,
        "what is kept is counted"
    );
    drop(mapping);
    assert_eq!(grants.sweep(), 1);
    assert_eq!((grants.usage().parked, world.usage(ONE).pages), (0, before));
    assert_eq!(world.violations(), Vec::<String>::new());
}

#[test]
fn a_span_that_cannot_be_granted_whole_is_not_granted() {
    let config = DomainConfig {
        grant_frames: 1,
        ..DomainConfig::default()
    };
    let (world, guest) = guest(32, config);
    let before = world.usage(ONE).pages;
    let mut spans = Vec::new();
    let refused = loop {
        let Some(span) = guest.pv.hv.alloc_span(16) else {
            panic!("there are more pages than references");
        };
        match guest.pv.grants.grant_span(span, PEER) {
            Ok(span) => spans.push(span),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refused, GrantRefusal::TableFull);
    drop(spans);
    assert_eq!(world.usage(ONE).pages, before);
}
