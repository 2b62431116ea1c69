//! The shipped control driver: what the toolstack asks, and what only looks like it.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use control::Control;
use hv::{DomId, ShutdownReason};
use sim::{DomainConfig, Guest, Toolstack, World, Xenstored};

const ONE: DomId = DomId(1);
const SECOND: Duration = Duration::from_secs(1);
const SHUTDOWN: &str = "/local/domain/1/control/shutdown";
const SYSRQ: &str = "/local/domain/1/control/sysrq";

struct Setting {
    world: World,
    toolstack: Toolstack,
    guest: Guest,
    control: Control,
}

impl Setting {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        let control = Control::start(&guest.pv, &guest.store);
        let setting = Self {
            world,
            toolstack,
            guest,
            control,
        };
        setting.settle();
        setting
    }

    fn store(&self) -> &Xenstored {
        self.toolstack.store()
    }

    fn settle(&self) {
        self.world.wake_domain(ONE);
        self.world.run_for(SECOND).unwrap();
    }

    /// What the domain is asked, if it comes within a second.
    fn asked(&self) -> Option<ShutdownReason> {
        let (control, exec) = (self.control.clone(), self.guest.pv.exec.clone());
        let asked = async move { exec.timeout(SECOND, control.asked_to_end()).await.ok() };
        self.guest.run(&self.world, asked).unwrap()
    }
}

#[test]
fn features_are_published_in_each_life() {
    let setting = Setting::new(1);
    let feature = |name: &str| {
        let path = format!("/local/domain/1/control/feature-{name}");
        setting.store().read(&path)
    };
    for _ in 0..2 {
        for name in ["poweroff", "reboot", "suspend"] {
            assert_eq!(feature(name).as_deref(), Some("1"), "{name}");
            setting
                .store()
                .write(&format!("/local/domain/1/control/feature-{name}"), "");
        }
        setting.control.begin_anew();
        setting.settle();
    }
}

#[test]
fn every_known_wish_is_acknowledged_before_it_is_passed_on() {
    let known = [
        ("poweroff", ShutdownReason::Poweroff),
        ("halt", ShutdownReason::Poweroff),
        ("reboot", ShutdownReason::Reboot),
        ("crash", ShutdownReason::Crash),
    ];
    for (number, (word, reason)) in known.into_iter().enumerate() {
        let setting = Setting::new(number as u64);
        setting.store().write(SHUTDOWN, word);
        let (control, store) = (setting.control.clone(), setting.store().clone());
        let asked = async move {
            let reason = control.asked_to_end().await;
            (reason, store.read(SHUTDOWN))
        };
        let asked = setting.guest.run(&setting.world, asked).unwrap();
        assert_eq!(asked, (reason, Some(String::new())), "{word}");
    }
}

#[test]
fn x05_a_value_that_was_there_before_the_watch_is_heard() {
    let world = World::new(1);
    let toolstack = Toolstack::start(&world);
    let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
    toolstack.shutdown(ONE, "poweroff");
    let control = Control::start(&guest.pv, &guest.store);
    let asked = guest.run(&world, async move { control.asked_to_end().await });
    assert_eq!(asked, Ok(ShutdownReason::Poweroff));
}

#[test]
fn x05_unknown_values_are_acknowledged_logged_and_harmless() {
    let setting = Setting::new(2);
    let long = vec![b'x'; 1900];
    let odd: [&[u8]; 6] = [
        b"Poweroff",
        b"poweroff\0",
        b"\xff\xfe",
        b"s3",
        b"\x1b[2J\n",
        &long,
    ];
    for (number, value) in odd.into_iter().enumerate() {
        setting.store().write(SHUTDOWN, value);
        setting.settle();
        assert_eq!(
            setting.store().read(SHUTDOWN).as_deref(),
            Some(""),
            "{value:?}"
        );
        assert_eq!(setting.guest.log_lines("is not known"), number + 1);
    }
    assert_eq!(setting.asked(), None);
    // It still hears.
    setting.toolstack.shutdown(ONE, "reboot");
    assert_eq!(setting.asked(), Some(ShutdownReason::Reboot));
}

#[test]
fn x05_suspend_is_acknowledged_before_it_is_passed_on() {
    let setting = Setting::new(3);
    setting.toolstack.shutdown(ONE, "suspend");
    let (control, exec) = (setting.control.clone(), setting.guest.pv.exec.clone());
    let asked = async move {
        exec.timeout(SECOND, control.asked_to_suspend())
            .await
            .is_ok()
    };
    assert_eq!(setting.guest.run(&setting.world, asked), Ok(true));
    assert_eq!(setting.store().read(SHUTDOWN).as_deref(), Some(""));
    assert_eq!(setting.asked(), None, "it is no end");
}

#[test]
fn x05_repeated_and_changed_wishes_are_one() {
    let setting = Setting::new(4);
    for word in ["poweroff", "poweroff", "reboot", "nonsense", "reboot"] {
        setting.toolstack.shutdown(ONE, word);
    }
    assert_eq!(setting.asked(), Some(ShutdownReason::Reboot));
    assert_eq!(setting.asked(), None);
}

#[test]
fn x05_a_node_that_is_removed_and_made_again() {
    let setting = Setting::new(5);
    setting.store().remove(SHUTDOWN);
    setting.settle();
    setting.toolstack.shutdown(ONE, "poweroff");
    setting.settle();
    // Made by domain 0, it is not the guest's to empty; the wish is heard all the same.
    assert_eq!(setting.asked(), Some(ShutdownReason::Poweroff));
}

#[test]
fn c13_a_flood_of_unknown_values_is_acknowledged_and_logged_with_measure() {
    let setting = Setting::new(6);
    for number in 0..200 {
        setting
            .store()
            .write(SHUTDOWN, format!("nonsense {number}"));
        setting.world.run_for(Duration::from_millis(20)).unwrap();
    }
    setting.settle();
    assert_eq!(setting.store().read(SHUTDOWN).as_deref(), Some(""));
    assert!(setting.guest.log_lines("is not known") <= 10);
}

#[test]
fn x04_shutdown_is_heard_in_a_storm_of_other_events() {
    let setting = Setting::new(7);
    let store = setting.guest.store.clone();
    let watching = async move { store.watch("data").await.unwrap() };
    let _watch = setting.guest.run(&setting.world, watching).unwrap();
    for number in 0..20_000 {
        setting
            .store()
            .write("/local/domain/1/data/storm", number.to_string());
        if number == 10_000 {
            setting.toolstack.shutdown(ONE, "poweroff");
        }
    }
    assert_eq!(setting.asked(), Some(ShutdownReason::Poweroff));
}

#[test]
fn x03_conflicts_do_not_keep_a_wish_from_being_heard() {
    let setting = Setting::new(8);
    setting.store().refuse_commits(1000);
    setting.toolstack.shutdown(ONE, "poweroff");
    setting.settle();
    setting.settle();
    assert_eq!(setting.asked(), Some(ShutdownReason::Poweroff));
    assert_eq!(setting.guest.log_lines("cannot be acknowledged"), 1);
}

#[test]
fn sysrq_letters_are_acknowledged_and_do_what_they_say() {
    let setting = Setting::new(9);
    setting
        .guest
        .pv
        .trace
        .record(setting.guest.pv.exec.now(), "a thing", 1, 2);
    setting.store().write(SYSRQ, "t");
    setting.settle();
    assert_eq!(setting.store().read(SYSRQ).as_deref(), Some(""));
    assert_eq!(setting.guest.log_lines("task control"), 1);
    assert_eq!(setting.guest.log_lines("a thing 0x1 0x2"), 1);
    setting.store().write(SYSRQ, "z");
    setting.settle();
    assert_eq!(setting.guest.log_lines("none of b, c, o and t"), 1);
    assert_eq!(setting.asked(), None);
    setting.store().write(SYSRQ, "b");
    assert_eq!(setting.asked(), Some(ShutdownReason::Reboot));
}
