//! Registers and interrupts of devices that a domain was given.

use hv::{DomId, Errno, Hypervisor as _, PAGE_SIZE, Page as _, SharedMem as _};
use sim::pirq::Trigger;
use sim::{DomainConfig, World};

const GUEST: DomId = DomId(1);
const ADDRESS: u64 = 0xc0_0000_0000;

#[test]
fn registers_are_seen_by_both_sides_and_unmapped_when_dropped() {
    let world = World::new(1);
    let dom = world.create_domain(GUEST, DomainConfig::default());
    let device = world.add_registers(ADDRESS, 4, GUEST);
    let before = world.usage(GUEST);
    let mapped = dom.map_device(ADDRESS, 4).expect("it may map them");
    assert_eq!(mapped.len(), 4 * PAGE_SIZE);
    mapped.store_u32(0x1000, 7);
    assert_eq!(device.u32(0x1000), 7);
    device.poke(0x3ff8, &9u64.to_le_bytes());
    assert_eq!(mapped.load_u64(0x3ff8), 9);
    assert_eq!(world.usage(GUEST).mappings, before.mappings + 1);
    drop(mapped);
    assert_eq!(world.usage(GUEST), before);
}

#[test]
fn registers_of_nobody_or_of_another_domain_are_not_mapped() {
    let world = World::new(1);
    let dom = world.create_domain(GUEST, DomainConfig::default());
    let other = world.create_domain(DomId(2), DomainConfig::default());
    world.add_registers(ADDRESS, 1, GUEST);
    let page = dom.alloc_page().expect("there is memory");
    let memory = page.mfn().0 * PAGE_SIZE as u64;
    world.add_registers(memory, 1, GUEST);
    for (who, address, pages) in [
        (&other, ADDRESS, 1),
        (&dom, ADDRESS, 2),
        (&dom, ADDRESS, 0),
        (&dom, ADDRESS + 1, 1),
        (&dom, memory, 1),
    ] {
        let refused = who.map_device(address, pages).err();
        assert_eq!(refused, Some(Errno::EINVAL), "{address:#x}");
    }
}

#[test]
fn a_line_comes_again_until_the_device_lets_go_of_it() {
    let world = World::new(1);
    let dom = world.create_domain(GUEST, DomainConfig::default());
    assert_eq!(dom.evtchn_bind_pirq(16, true), Err(Errno::EPERM));
    world.give_pirq(GUEST, 16, Trigger::Line);
    assert_eq!(dom.evtchn_bind_pirq(16, false), Err(Errno::EBUSY));
    let port = dom.evtchn_bind_pirq(16, true).expect("it was given");
    assert_eq!(dom.evtchn_bind_pirq(16, true), Err(Errno(17)));
    assert_eq!(dom.pirq_needs_eoi(16), Ok(true));
    assert!(!world.take_event(GUEST, port));
    world.hold_line(GUEST, 16, true);
    assert!(world.take_event(GUEST, port));
    world.hold_line(GUEST, 16, true);
    assert!(!world.take_event(GUEST, port), "it was not served yet");
    dom.pirq_eoi(16).expect("it was given");
    assert!(world.take_event(GUEST, port), "the line is still held");
    world.hold_line(GUEST, 16, false);
    dom.pirq_eoi(16).expect("it was given");
    assert!(!world.take_event(GUEST, port));
}

#[test]
fn a_message_is_one_event_and_needs_no_end() {
    let world = World::new(1);
    let dom = world.create_domain(GUEST, DomainConfig::default());
    world.give_pirq(GUEST, 55, Trigger::Message);
    assert_eq!(dom.pirq_needs_eoi(55), Ok(false));
    let port = dom.evtchn_bind_pirq(55, false).expect("it was given");
    for _ in 0..2 {
        world.send_message(GUEST, 55);
        assert!(world.take_event(GUEST, port));
    }
    world.take_pirq(GUEST, 55);
    world.send_message(GUEST, 55);
    assert!(!world.take_event(GUEST, port));
}

#[test]
fn a_device_reaches_the_pages_of_its_domain_and_no_page_that_was_freed() {
    let world = World::new(1);
    let dom = world.create_domain(GUEST, DomainConfig::default());
    let page = dom.alloc_page().expect("there is memory");
    let address = page.mfn().0 * PAGE_SIZE as u64;
    world
        .dma_write(GUEST, address + 8, b"data")
        .expect("its page");
    let mut bytes = [0; 4];
    page.read(8, &mut bytes);
    assert_eq!(&bytes, b"data");
    drop(page);
    let refused = world.dma_read(GUEST, address, &mut bytes);
    assert_eq!(refused, Err(Errno::EFAULT));
    assert_eq!(world.violations().len(), 1);
}
