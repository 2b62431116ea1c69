//! The shell at a console, in a domain of the simulated Xen: whole transcripts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use blkback::Blkback;
use console::Console;
use exec::info;
use geom::disk::{Disk, DiskBio, DiskHandle, DiskParams};
use geom::{Errno, Geom, Params};
use hv::{DomId, ShutdownReason};
use net::Net;
use shell::command::Parts;
use shell::shell::Shell;
use sim::{Consoled, Dom, DomainConfig, Guest, Toolstack, World};

const ONE: DomId = DomId(1);

/// A domain with the shipped shell at the shipped console, and the terminal at the other end.
struct Bench {
    world: World,
    guest: Guest,
    geom: Geom,
    shell: Shell<Dom>,
    terminal: Consoled,
    seen: Cell<usize>,
    ended: Rc<Cell<Option<ShutdownReason>>>,
}

impl Bench {
    fn new() -> Self {
        let world = World::new(1);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        let terminal = Consoled::start(&world, ONE);
        let geom = Geom::new(Params::default());
        let polled = geom.clone();
        guest.pv.exec.spawn("geom", async move {
            std::future::poll_fn::<(), _>(|context| {
                polled.set_waker(context.waker());
                polled.poll(Duration::ZERO);
                Poll::Pending
            })
            .await;
        });
        let shell = Shell::new(Parts {
            pv: guest.pv.clone(),
            balloon: Default::default(),
            store: guest.store.clone(),
            geom: geom.clone(),
            blkback: Blkback::start(&guest.pv, &guest.store, &geom, Default::default()),
            net: Net::new(&guest.pv, Vec::new()),
            pcifront: pcifront::Pcifront::start(&guest.pv, &guest.store, Vec::new()),
            nvme: nvme::Nvme::new(&guest.pv, &geom),
        });
        let ended = Rc::new(Cell::new(None));
        let end = ended.clone();
        let serving = shell.clone().serve(Console::start(&guest.pv));
        guest.pv.exec.spawn("shell", async move {
            end.set(Some(serving.await));
        });
        let bench = Self {
            world,
            guest,
            geom,
            shell,
            terminal,
            seen: Cell::new(0),
            ended,
        };
        assert_eq!(bench.shown(), "xenolith> ");
        bench
    }

    /// What was shown since the last look, when nothing moves any more. Lines end with a line feed.
    fn shown(&self) -> String {
        self.world.wake_domain(ONE);
        self.world
            .run_for(Duration::from_millis(100))
            .expect("the domain runs");
        let shown = self.terminal.output().replace("\r\n", "\n");
        let seen = self.seen.replace(shown.len());
        shown[seen..].into()
    }

    /// Types `keys`; returns what is shown.
    fn types(&self, keys: impl AsRef<[u8]>) -> String {
        self.terminal.type_bytes(keys);
        self.shown()
    }

    /// Runs `line`; returns what it printed between the echo and the prompt.
    fn run(&self, line: &str) -> String {
        let shown = self.types(format!("{line}\r"));
        let answer = shown.strip_prefix(&format!("{line}\n"));
        let answer = answer.and_then(|rest| rest.strip_suffix("xenolith> "));
        answer
            .unwrap_or_else(|| panic!("no answer: {shown:?}"))
            .into()
    }
}

/// A disk that answers nothing, until the test does.
struct SilentDisk(Rc<RefCell<Vec<DiskBio>>>);

impl Disk for SilentDisk {
    fn strategy(&mut self, bio: DiskBio) {
        self.0.borrow_mut().push(bio);
    }

    fn gone(self: Box<Self>) {}
}

/// A disk that answers every read with zeros.
struct ZeroDisk;

impl Disk for ZeroDisk {
    fn strategy(&mut self, bio: DiskBio) {
        bio.complete(Ok(()));
    }

    fn gone(self: Box<Self>) {}
}

fn add_disk(bench: &Bench, unit: u32, disk: impl Disk + 'static) -> DiskHandle {
    let params = DiskParams::new("xbd", unit, 4096);
    let handle = bench
        .geom
        .disk_create(params, Box::new(disk))
        .expect("a disk");
    bench.shown();
    handle
}

#[test]
fn a_command_is_echoed_answered_and_followed_by_the_prompt() {
    let bench = Bench::new();
    assert_eq!(
        bench.types("xenstore read name\r"),
        "xenstore read name\nguest\nxenolith> "
    );
    assert_eq!(bench.types("\r"), "\nxenolith> ");
}

#[test]
fn commands_of_a_line_run_in_order_also_after_one_that_fails() {
    let bench = Bench::new();
    assert_eq!(
        bench.run("frob; sum xbd9 ;xenstore read domid; hexdump; xenstore read 'a"),
        "frob: no such command; `help` lists them\n\
         sum: xbd9: no such provider\n\
         1\n\
         usage: hexdump PROVIDER OFFSET LENGTH\n\
         a ' is not closed\n"
    );
}

#[test]
fn xenstore_is_listed_read_and_written() {
    let bench = Bench::new();
    assert_eq!(bench.run("xenstore write data/x '1 2'"), "");
    assert_eq!(bench.run("xenstore read data/x"), "1 2\n");
    assert_eq!(bench.run("xenstore ls data"), "x = \"1 2\"\n");
    assert_eq!(
        bench.run("xenstore ls data/"),
        "data/: not a store path\n".replace("data/:", "xenstore ls: data/:")
    );
    assert_eq!(
        bench.run("xenstore read nowhere"),
        "xenstore read: nowhere: no such node\n"
    );
    assert_eq!(
        bench.run("xenstore write /local/domain/0/name x"),
        "xenstore write: /local/domain/0/name: permission denied\n"
    );
    assert!(
        bench
            .run("xenstore ls memory")
            .contains("target = \"8192\"\n")
    );
}

#[test]
fn every_report_is_printed() {
    let bench = Bench::new();
    bench
        .guest
        .pv
        .trace
        .record(bench.guest.pv.exec.now(), "step", 1, 2);
    assert!(bench.run("help").contains("sum PROVIDER [OFFSET LENGTH]"));
    assert_eq!(bench.run("help frob"), "help: frob: no such command\n");
    assert!(bench.run("uptime").starts_with("up 00:00:0"));
    assert!(bench.run("mem").starts_with("memory: 8192 KiB, "));
    assert!(bench.run("events").contains("  xenstore\n"));
    assert!(
        bench
            .run("grants")
            .starts_with("granted: 0\nparked: 0 (0 since the start)\n")
    );
    assert!(bench.run("trace").ends_with("] step 0x1 0x2\n"));
    assert!(bench.run("tasks").contains("  xenstore\n"));
    assert_eq!(bench.run("disk list"), "created: 0, gone: 0, live: 0\n");
    assert_eq!(bench.run("geom tree"), "");
}

#[test]
fn a_log_line_takes_the_place_of_the_line_under_edit() {
    let bench = Bench::new();
    bench.types("upti");
    info!(bench.guest.pv.log, "xbd0", "gone");
    let shown = bench.shown();
    let line = shown
        .strip_prefix("\r\x1b[K[")
        .and_then(|rest| rest.split_once("] "))
        .expect("a line");
    assert_eq!(line.1, "xbd0: gone\nxenolith> upti");
    assert!(bench.types("me\r").starts_with("me\nup 00:00:0"));
    assert!(bench.run("dmesg").ends_with("] xbd0: gone\n"));
}

#[test]
fn ctrl_c_ends_a_command_that_waits_for_a_disk() {
    let bench = Bench::new();
    let _disk = add_disk(&bench, 0, SilentDisk(Rc::default()));
    assert_eq!(bench.types("sum xbd0; uptime\r"), "sum xbd0; uptime\n");
    assert_eq!(bench.types("x"), "", "typed ahead");
    assert_eq!(bench.types("\x03"), "^C\nxenolith> ");
    assert!(bench.run("uptime").starts_with("up "));
    assert!(bench.run("geom tree").starts_with("xbd0  DISK"));
}

#[test]
fn what_is_typed_while_a_command_runs_comes_after_it() {
    let bench = Bench::new();
    let held = Rc::new(RefCell::new(Vec::new()));
    let _disk = add_disk(&bench, 0, SilentDisk(held.clone()));
    let fail = || {
        held.take()
            .into_iter()
            .for_each(|bio| bio.complete(Err(Errno::Io)))
    };
    fail();
    assert_eq!(bench.types("sum xbd0\r"), "sum xbd0\n");
    assert_eq!(bench.types("xenstore read name\rup"), "");
    fail();
    assert_eq!(
        bench.shown(),
        "sum: xbd0: EIO\nxenolith> xenstore read name\nguest\nxenolith> up"
    );
    bench.types("\x15sum xbd0\r");
    assert_eq!(bench.types("y".repeat(5000)), "");
    fail();
    assert_eq!(
        bench.shown().matches('y').count(),
        1024,
        "what is typed ahead is bounded"
    );
}

#[test]
fn tab_completes_to_providers_that_live() {
    let bench = Bench::new();
    let _zero = add_disk(&bench, 0, ZeroDisk);
    let gone = add_disk(&bench, 1, ZeroDisk);
    assert_eq!(bench.types("sum x\t"), "sum xbd");
    gone.gone();
    bench.shown();
    assert_eq!(bench.types("\t"), "0 ");
    // 4096 zeros.
    let sum = "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7";
    assert_eq!(bench.types("\r"), format!("\n{sum}  xbd0\nxenolith> "));
    assert_eq!(bench.types("pow\t"), "poweroff ");
}

#[test]
fn a_submitted_line_runs_as_if_it_was_typed() {
    let bench = Bench::new();
    bench.types("half");
    bench
        .shell
        .submit("xenstore read name; xenstore read domid");
    bench.shell.submit("xenstore read name");
    assert_eq!(
        bench.shown(),
        "\r\x1b[Kxenolith> xenstore read name; xenstore read domid\nguest\n1\n\
         xenolith> half\r\x1b[Kxenolith> xenstore read name\nguest\nxenolith> half"
    );
}

#[test]
fn a_line_submitted_at_an_empty_prompt_looks_like_a_typed_one() {
    let bench = Bench::new();
    bench.shell.submit("xenstore read name");
    bench.shell.submit("xenstore read domid");
    assert_eq!(
        bench.shown(),
        "xenstore read name\nguest\nxenolith> xenstore read domid\n1\nxenolith> "
    );
}

#[test]
fn the_end_comes_after_all_output_and_runs_nothing_behind_it() {
    for (name, reason) in [
        ("poweroff", ShutdownReason::Poweroff),
        ("reboot", ShutdownReason::Reboot),
        ("crash", ShutdownReason::Crash),
    ] {
        let bench = Bench::new();
        bench
            .shell
            .submit(&format!("xenstore read name; {name}; xenstore read name"));
        let shown = bench.shown();
        assert!(shown.ends_with("\nguest\n"), "{shown}");
        assert_eq!(bench.ended.get(), Some(reason));
    }
}

/// Oracle: whatever is typed, the shell still answers afterwards.
#[test]
fn seeded_garbage_leaves_the_shell_usable() {
    let bench = Bench::new();
    let _disk = add_disk(&bench, 0, ZeroDisk);
    for seed in 0..200 {
        let mut bytes = vec![0; 300];
        shell::pattern::write(seed, 0, &mut bytes);
        bench.types(bytes);
        bench.types("\x03\x15");
        assert_eq!(bench.run("xenstore read name"), "guest\n", "{seed}");
    }
}
