//! Further vCPUs are brought up and down as the administrator wants, and are out of the way of a
//! suspension.

use std::time::Duration;

use hv::{DomId, Hypervisor, Resumed};
use sim::{DomainConfig, Machine};

const GUEST: DomId = Machine::GUEST;
const SECOND: Duration = Duration::from_secs(1);

fn config(vcpus: u32) -> DomainConfig {
    DomainConfig {
        vcpus,
        ..DomainConfig::default()
    }
}

fn machine(seed: u64, vcpus: u32) -> Machine {
    let machine = Machine::boot_with(seed, "", config(vcpus), |_, _| {});
    machine.until_shown("ready");
    machine
}

/// Does what `xl vcpu-set` does.
fn set(machine: &Machine, vcpu: u32, availability: &str) {
    machine.toolstack.set_vcpu(GUEST, vcpu, availability);
}

/// How many lines of the domain's log have this.
fn said(machine: &Machine, text: &str) -> usize {
    let lines = machine.domain.pv.log.lines_from(0);
    lines.filter(|line| line.text.contains(text)).count()
}

fn up(machine: &Machine, count: u32) -> Vec<u32> {
    let hv = &machine.domain.pv.hv;
    (0..count).filter(|vcpu| hv.vcpu_is_up(*vcpu)).collect()
}

#[test]
fn vcpus_run_as_long_as_they_are_available() {
    for seed in 0..20 {
        let machine = machine(seed, 3);
        machine.until("they run", |machine| up(machine, 3) == [0, 1, 2]);
        for _ in 0..3 {
            set(&machine, 1, "offline");
            machine.until("one is down", |machine| up(machine, 3) == [0, 2]);
            set(&machine, 2, "offline");
            machine.until("both are down", |machine| up(machine, 3) == [0]);
            set(&machine, 2, "online");
            set(&machine, 1, "online");
            machine.until("they run again", |machine| up(machine, 3) == [0, 1, 2]);
        }
    }
}

#[test]
fn a_vcpu_that_is_not_available_at_boot_is_not_brought_up() {
    let machine = Machine::boot_with(1, "", config(2), |_, toolstack| {
        toolstack.set_vcpu(GUEST, 1, "offline");
    });
    machine.until_shown("ready");
    machine.run_for(SECOND);
    assert_eq!(up(&machine, 2), [0]);
}

#[test]
fn only_the_first_vcpu_runs_while_the_domain_is_suspended() {
    for seed in 0..10 {
        for resumed in [Resumed::Cancelled, Resumed::Anew] {
            let machine = machine(seed, 3);
            machine.until("they run", |machine| up(machine, 3) == [0, 1, 2]);
            let toolstack = machine.toolstack.clone();
            let console = machine.console.clone();
            machine.world.at_suspension(GUEST, move |_| {
                if resumed == Resumed::Anew {
                    toolstack.renew_domain(GUEST, "xenolith", config(3));
                    console.bind(GUEST);
                }
                resumed
            });
            machine.toolstack.shutdown(GUEST, "suspend");
            machine.until_shown(match resumed {
                Resumed::Cancelled => "the domain goes on",
                Resumed::Anew => "the domain lives anew",
            });
            machine.until("they run again", |machine| up(machine, 3) == [0, 1, 2]);
            set(&machine, 2, "offline");
            machine.until("one is down", |machine| up(machine, 3) == [0, 1]);
        }
    }
}

#[test]
fn the_first_vcpu_stays() {
    let machine = machine(1, 2);
    machine.until("they run", |machine| up(machine, 2) == [0, 1]);
    set(&machine, 0, "offline");
    set(&machine, 1, "offline");
    machine.until("one is down", |machine| up(machine, 2) == [0]);
    machine.run_for(SECOND);
    assert_eq!(said(&machine, "the first one stays"), 1);
    assert!(machine.command("mem").contains("memory:"));
}

#[test]
fn more_vcpus_than_there_are_cannot_be_had_and_that_is_said() {
    let machine = machine(2, 1);
    set(&machine, 0, "online");
    set(&machine, 1, "offline");
    machine.run_for(SECOND);
    assert_eq!(said(&machine, "more are asked for"), 0);
    set(&machine, 1, "online");
    machine.run_for(SECOND);
    assert_eq!(
        said(&machine, "1 more are asked for: 1 is all that are used"),
        1
    );
}

#[test]
fn x05_garbage_for_a_vcpu_is_logged_with_measure_and_changes_nothing() {
    let machine = machine(3, 2);
    machine.until("they run", |machine| up(machine, 2) == [0, 1]);
    set(&machine, 0, "online");
    for round in 0..50 {
        set(&machine, 1, &format!("nonsense {round}"));
        machine.run_for(SECOND);
        assert_eq!(up(&machine, 2), [0, 1]);
    }
    let count = said(&machine, "is neither online nor offline");
    assert!((1..50).contains(&count), "{count}");
    set(&machine, 1, "offline");
    machine.until("it is down", |machine| up(machine, 2) == [0]);
    set(&machine, 1, "");
    for name in ["-1", "99999999999", "00", "x"] {
        let node = format!("/local/domain/{GUEST}/cpu/{name}/availability");
        machine.toolstack.store().write(&node, "online");
    }
    machine.run_for(SECOND);
    assert_eq!(up(&machine, 2), [0]);
    let cpus = format!("/local/domain/{GUEST}/cpu");
    machine.toolstack.store().remove(&cpus);
    machine.run_for(SECOND);
    assert_eq!(up(&machine, 2), [0], "what was said last holds");
}
