//! The shipped console driver against the simulated daemon, and against one that lies.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::time::Duration;

use console::Console;
use exec::{Level, info};
use hv::{DomId, Port, SharedMem};
use sim::consoled::Consoled;
use sim::{Dom, DomainConfig, Guest, Memory, Toolstack, World};

const ONE: DomId = DomId(1);
const DOM0: DomId = DomId(0);
const SECOND: Duration = Duration::from_secs(1);

// struct xencons_interface
const IN_PROD: usize = 3076;
const OUT_CONS: usize = 3080;
const CONNECTION: usize = 3088;

struct Setting {
    world: World,
    guest: Guest,
    console: Console<Dom>,
}

impl Setting {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        let console = Console::start(&guest.pv);
        Self {
            world,
            guest,
            console,
        }
    }

    fn ask<T: 'static>(&self, ask: impl AsyncFnOnce(Console<Dom>) -> T + 'static) -> T {
        let console = self.console.clone();
        self.guest
            .run(&self.world, async move { ask(console).await })
            .unwrap()
    }

    fn settle(&self) {
        self.world.wake_domain(ONE);
        self.world.run_for(SECOND).unwrap();
    }

    /// The page, and a port to raise events with, for a daemon that the test plays itself.
    fn daemon(&self) -> (Memory, Port) {
        let (page, remote) = self.world.console_ring_of(ONE, DOM0);
        (
            page,
            self.world
                .evtchn_bind_interdomain(DOM0, ONE, remote)
                .unwrap(),
        )
    }
}

#[test]
fn the_log_and_the_shell_s_text_are_printed_in_order() {
    let setting = Setting::new(1);
    info!(setting.guest.pv.log, "boot", "before the daemon is there");
    let daemon = Consoled::start(&setting.world, ONE);
    let flushed = setting.ask(async |console| {
        console.print(b"xenolith> ").await;
        console.flush(SECOND).await
    });
    assert!(flushed);
    assert!(
        daemon
            .output()
            .contains("] boot: before the daemon is there\r\nxenolith> ")
    );
    info!(setting.guest.pv.log, "xbd0", "gone");
    setting.settle();
    let output = daemon.output();
    assert!(output.contains("xenolith> \r\u{1b}[K["), "{output}");
    assert!(output.ends_with("] xbd0: gone\r\nxenolith> "), "{output}");
}

#[test]
fn typed_bytes_arrive_in_order_however_many() {
    let setting = Setting::new(2);
    let daemon = Consoled::start(&setting.world, ONE);
    let typed: Vec<u8> = (0..20_000u32).map(|n| b'a' + (n % 23) as u8).collect();
    daemon.type_bytes(&typed);
    // Nobody reads: the driver keeps a bounded part, the rest waits in the daemon.
    setting.settle();
    let read = setting.ask(async move |console| {
        let mut read = Vec::new();
        while read.len() < 20_000 {
            read.extend(console.read().await);
        }
        read
    });
    assert!(read == typed);
}

#[test]
fn much_output_is_lossless_for_a_daemon_that_drains() {
    let setting = Setting::new(3);
    let daemon = Consoled::start(&setting.world, ONE);
    let text: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    let printed = text.clone();
    setting.ask(async move |console| {
        console.print(printed.as_bytes()).await;
        assert!(console.flush(10 * SECOND).await);
    });
    assert!(daemon.output() == text.replace('\n', "\r\n"));
    assert_eq!(setting.console.usage().dropped, 0);
}

#[test]
fn f23_a_daemon_that_never_drains_does_not_hold_the_boot() {
    let setting = Setting::new(4);
    let daemon = Consoled::start(&setting.world, ONE);
    daemon.set_held(true);
    let before = setting.world.now();
    setting.ask(async |console| {
        for number in 0..10_000 {
            console.write_bytes(format!("line {number}\n").as_bytes());
        }
        // Waiting for room ends too.
        console.print(&[b'x'; 100]).await;
        assert!(!console.flush(SECOND).await);
    });
    assert!(setting.world.now().since(before) < 5 * SECOND);
    let dropped = setting.console.usage().dropped;
    assert!(dropped > 1000);
    // When it drains again it is told what it has missed, and gets the newest.
    daemon.set_held(false);
    setting.settle();
    let output = daemon.output();
    assert!(
        output.contains(&format!("[{dropped} lines dropped")),
        "{dropped}"
    );
    assert!(output.contains("line 9999\r\n"));
}

#[test]
fn f23_nobody_waits_for_a_daemon_that_is_not_connected() {
    let setting = Setting::new(5);
    let (page, _port) = setting.daemon();
    page.write(CONNECTION, &[1]);
    let before = setting.world.now();
    setting.ask(async |console| {
        for _ in 0..100 {
            console.print(&[b'x'; 4096]).await;
        }
    });
    assert!(setting.world.now().since(before) < SECOND, "not even once");
    assert!(!setting.console.usage().connected);
    // Any value but 0 is "not connected"; 0 is taken at its word at once.
    page.write(CONNECTION, &[0]);
    setting.console.write_bytes(b"again\n");
    setting.settle();
    assert!(setting.console.usage().connected);
}

#[test]
fn f23_indices_that_cannot_be_true_rest_their_direction_alone() {
    let setting = Setting::new(6);
    let (page, port) = setting.daemon();
    let kick = || setting.world.evtchn_send(DOM0, port).unwrap();
    // The daemon claims to have typed more than the ring holds.
    page.store_u32(IN_PROD, 1025);
    kick();
    setting.settle();
    assert_eq!(setting.guest.log_lines("in_prod"), 1);
    // Printing goes on.
    setting.console.write_bytes(b"hello\n");
    setting.settle();
    let printed = setting.console.usage().printed;
    assert!(printed >= 7);
    // The daemon claims to have read more than was printed: printing rests, one line says so.
    page.store_u32(OUT_CONS, u32::MAX / 2);
    for _ in 0..100 {
        setting.console.write_bytes(b"more\n");
        kick();
        setting.settle();
    }
    assert_eq!(setting.guest.log_lines("out_cons"), 1);
    assert_eq!(setting.console.usage().printed, printed);
    // Both go on when the indices are possible again.
    page.write(0, b"ok");
    page.store_u32(IN_PROD, 2);
    page.store_u32(OUT_CONS, printed as u32);
    kick();
    let read = setting.ask(async |console| console.read().await);
    assert_eq!(read, b"ok");
    assert!(setting.console.usage().printed > printed);
}

#[test]
fn c13_a_daemon_whose_indices_flip_cannot_flood_the_log() {
    let setting = Setting::new(7);
    let (page, port) = setting.daemon();
    for round in 0..1000 {
        page.store_u32(IN_PROD, if round % 2 == 0 { 5000 } else { 0 });
        setting.world.evtchn_send(DOM0, port).unwrap();
        setting.world.run_for(Duration::from_millis(5)).unwrap();
    }
    assert!(setting.guest.log_lines("in_prod") <= 10);
}

#[test]
fn c05_a_storm_of_events_without_bytes_backs_off() {
    let setting = Setting::new(8);
    let (_page, port) = setting.daemon();
    setting.settle();
    let before = setting.guest.pv.exec.polls();
    for _ in 0..10_000 {
        setting.world.evtchn_send(DOM0, port).unwrap();
        setting.world.run_for(Duration::from_micros(50)).unwrap();
    }
    let polls = setting.guest.pv.exec.polls() - before;
    assert!(
        polls < 1000,
        "{polls} polls for 10000 events in half a second"
    );
}

#[test]
fn c13_lines_that_the_log_has_overwritten_are_counted() {
    let setting = Setting::new(9);
    let log = setting.guest.pv.log.clone();
    for number in 0..2000 {
        log.write(Level::Info, "flood", format_args!("{number}"));
    }
    let daemon = Consoled::start(&setting.world, ONE);
    setting.settle();
    let lost = setting.console.usage().log_lines_lost;
    assert!(lost > 1000);
    assert!(
        daemon
            .output()
            .contains(&format!("[{lost} lines of the log are lost]"))
    );
    assert!(daemon.output().contains("flood: 1999\r\n"));
}
