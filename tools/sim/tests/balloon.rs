//! The shipped balloon driver: it follows the target, stops at the floor, and counts exactly.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::rc::Rc;
use std::time::Duration;

use balloon::{Balloon, plan};
use geom::Access;
use hv::{DomId, Errno, Hypervisor};
use sim::storage::{GUEST, XVDA};
use sim::{BlkbackConfig, Call, Disk, DomainConfig, Fault, Machine, Rng, Storage, When};

const SECOND: Duration = Duration::from_secs(1);
const TARGET: &str = "/local/domain/1/memory/target";
const STATIC_MAX: &str = "/local/domain/1/memory/static-max";
/// Pages in a MiB.
const MIB: usize = 256;
const KIB: usize = 1024;

/// A guest with a disk and the balloon driver.
struct Setting {
    storage: Storage,
    balloon: Balloon,
    started_with: usize,
}

impl Setting {
    /// With so many MiB, and at most so many.
    fn new(seed: u64, memory: usize, most: usize) -> Self {
        let config = DomainConfig {
            pages: memory * MIB,
            most_pages: most * MIB,
            ..DomainConfig::default()
        };
        let storage = Storage::with(seed, config);
        let balloon = Balloon::start(&storage.guest.pv, &storage.guest.store);
        let setting = Self {
            storage,
            balloon,
            started_with: memory * MIB,
        };
        setting.storage.world.wake_domain(GUEST);
        setting.storage.run_for(SECOND);
        setting
    }

    /// Requests on a disk, one after the other by four tasks, whose data is checked, for as long as
    /// the guest runs.
    fn load(&self) {
        let config = BlkbackConfig {
            latency: Duration::from_micros(100),
            sectors: 4096,
            ..BlkbackConfig::default()
        };
        let _backend = self.storage.attach_ready(&Disk::new(), config);
        let device = Rc::new(self.storage.open("xbd0", Access::READ_WRITE));
        for job in 0..4u8 {
            let device = device.clone();
            let exec = self.storage.guest.pv.exec.clone();
            let _never = self.storage.guest.spawn(&self.storage.world, async move {
                let start = u64::from(job) * 256 * 1024;
                for round in (0u8..=255).cycle() {
                    let bytes = vec![round ^ job; 32 * 1024];
                    device.write(start, bytes.clone()).await.unwrap();
                    assert_eq!(device.read(start, bytes.len()).await.unwrap(), bytes);
                    exec.sleep(Duration::from_millis(10)).await;
                }
            });
        }
    }

    /// Has many pages of a disk's pool under way at once, which are all kept for later; how many
    /// are granted then.
    fn burst(&self, disk: &str) -> usize {
        let reads: Vec<_> = (0..16)
            .map(|number| {
                let start = (1 << 20) + number * 65_536;
                self.storage.begin_read(disk, start, 65_536)
            })
            .collect();
        self.storage.until("all are read", |_| {
            reads.iter().all(|read| read.outcome() == Some(Ok(65_536)))
        });
        self.storage.guest.pv.grants.usage().granted
    }

    fn pages(&self) -> usize {
        self.storage.world.reservation(GUEST)
    }

    fn floor(&self) -> usize {
        plan::floor(&self.storage.guest.dom.memory_use())
    }

    /// What Xen counts, what the domain counts, and what the driver counts are the same.
    fn counts_are_exact(&self) {
        let memory = self.storage.guest.dom.memory_use();
        let used = self.storage.world.usage(GUEST).pages;
        let standing = self.balloon.standing();
        assert_eq!(memory.total, self.pages());
        assert_eq!(memory.free, self.pages() - used);
        let counted = self.started_with as u64 + standing.got - standing.given;
        assert_eq!(counted, self.pages() as u64, "{standing:?}");
    }

    /// `xl mem-set` to so many pages, until the domain has them.
    fn set(&self, pages: usize) {
        self.storage.toolstack.set_memory(GUEST, pages * 4);
        self.storage
            .until(&format!("{pages} pages"), |_| self.pages() == pages);
        self.counts_are_exact();
    }

    fn write_target(&self, text: &str) {
        self.storage.toolstack.store().write(TARGET, text);
        self.storage.run_for(SECOND);
    }

    fn logged(&self, text: &str) -> usize {
        self.storage.count_logged(text)
    }

    fn fail(&self, call: Call, when: When) {
        let fault = Fault::new(GUEST, call, when, Errno::ENOMEM);
        self.storage.world.plan_fault(fault);
    }
}

#[test]
fn a_domain_that_has_what_it_is_to_have_says_and_does_nothing() {
    let setting = Setting::new(1, 64, 256);
    setting.storage.run_for(60 * SECOND);
    assert_eq!(
        setting.logged("balloon"),
        0,
        "{:?}",
        setting.storage.guest.log()
    );
    let standing = setting.balloon.standing();
    assert_eq!(
        (standing.target, standing.static_max),
        (Some(65_536), Some(262_144))
    );
    assert_eq!((standing.given, standing.got), (0, 0));
    setting.counts_are_exact();
}

#[test]
fn up_and_down_under_load() {
    let long = std::env::var_os("XENOLITH_LONG").is_some();
    let setting = Setting::new(2, 64, 256);
    setting.load();
    let times = if long { 200 } else { 3 };
    for _ in 0..times {
        setting.set(256 * MIB);
        setting.set(16 * MIB);
    }
    assert_eq!(setting.logged("refused"), 0);
    // Each is said, though not every time: the log leaves out what is said too often.
    for said in ["16384 KiB now", "262144 KiB now"] {
        let count = setting.logged(said);
        assert!((1..=times).contains(&count), "{said}: {count}");
    }
}

#[test]
fn a_thousand_random_targets_under_load_are_counted_exactly() {
    for seed in 0..2 {
        let setting = Setting::new(seed, 8, 24);
        setting.load();
        let rng = Rng::new(seed);
        // Partial results, and times when nothing is to be had.
        setting.fail(Call::GivePages, When::OneIn(300));
        setting.fail(Call::GetPages, When::OneIn(300));
        for _ in 0..500 {
            let target = rng.below(24 * MIB as u64) as usize;
            setting.storage.toolstack.set_memory(GUEST, target * 4);
            setting
                .storage
                .run_for(Duration::from_millis(rng.below(20)));
            setting.counts_are_exact();
            assert!(setting.pages() <= 24 * MIB);
        }
        setting.storage.world.clear_faults();
        setting.set(24 * MIB);
        setting.set(setting.floor().max(12 * MIB));
    }
}

#[test]
fn what_is_in_use_stays_and_the_floor_follows_it() {
    let setting = Setting::new(3, 64, 64);
    let dom = &setting.storage.guest.dom;
    let mut held: Vec<_> = (0..24 * MIB).map(|_| dom.alloc_page().unwrap()).collect();
    setting.storage.toolstack.set_memory(GUEST, 16 * KIB);
    setting.storage.run_for(10 * SECOND);
    // What the backend's driver and the store use is little.
    let floor = setting.floor();
    assert!((26 * MIB..34 * MIB).contains(&floor), "{floor}");
    assert_eq!(setting.pages(), floor);
    assert_eq!(setting.logged("a target of 16384 KiB is refused"), 1);
    setting.counts_are_exact();
    // It looks again, ever more rarely, and says no more of it.
    held.truncate(4 * MIB);
    setting.storage.run_for(70 * SECOND);
    assert_eq!(setting.pages(), 16 * MIB);
    assert_eq!(setting.logged("refused"), 1);
    let dom = &setting.storage.guest.dom;
    assert!(dom.heap_room() > MIB * 4096, "the heap can grow");
}

#[test]
fn the_pool_of_io_pages_gives_way_first_and_comes_back() {
    let setting = Setting::new(16, 32, 64);
    setting.load();
    let storage = &setting.storage;
    let burst = || setting.burst("xbd0");
    let many = burst();
    setting.write_target("0");
    storage.run_for(10 * SECOND);
    let few = storage.guest.pv.grants.usage().granted;
    assert!(few + 100 < many, "{few} pages are granted, and were {many}");
    let memory = storage.guest.dom.memory_use();
    assert_eq!(memory.total, plan::floor(&memory), "what they had is given");
    // The disk goes on with what it cannot do without.
    assert!(burst() <= few);
    setting.set(32 * MIB);
    assert!(burst() > few + 100);
    assert_eq!(storage.guest.pv.grants.usage().parked, 0);
}

#[test]
fn the_pools_of_idle_disks_give_way_before_a_target_is_refused() {
    let setting = Setting::new(17, 32, 64);
    let storage = &setting.storage;
    let config = BlkbackConfig::default();
    let (one, other) = (Disk::new(), Disk::new());
    let backends = [(XVDA, &one), (XVDA + 16, &other)]
        .map(|(number, disk)| storage.attach(number, disk, config.clone()));
    storage.until("both are there", |storage| {
        storage.is_ready("xbd0") && storage.is_ready("xbd1")
    });
    let requests = || backends.each_ref().map(|backend| backend.served().requests);
    for _ in 0..2 {
        setting.burst("xbd0");
        let many = setting.burst("xbd1");
        storage.run_for(SECOND);
        let before = requests();
        // More than the pool of one has to give: 300 pages less in use.
        setting.set(setting.floor() - 300 * 8 / 7);
        let few = storage.guest.pv.grants.usage().granted;
        assert!(few + 300 <= many, "{few} are granted, and were {many}");
        storage.run_for(10 * SECOND);
        assert_eq!(requests(), before, "nothing was asked of the disks");
        assert_eq!(setting.logged("refused"), 0);
        // Once it is reached, they may keep as many again.
        assert_eq!(setting.burst("xbd0").max(setting.burst("xbd1")), many);
        setting.set(32 * MIB);
    }
}

#[test]
fn the_pool_of_an_idle_disk_keeps_what_its_backend_maps() {
    let setting = Setting::new(18, 32, 64);
    let storage = &setting.storage;
    let config = BlkbackConfig {
        persistent: Some(1056),
        ..BlkbackConfig::default()
    };
    let disk = Disk::new();
    let _backend = storage.attach(XVDA, &disk, config);
    storage.until("it is there", |storage| storage.is_ready("xbd0"));
    let many = setting.burst("xbd0");
    storage.run_for(SECOND);
    setting.write_target("0");
    storage.run_for(10 * SECOND);
    assert_eq!(setting.logged("a target of 0 KiB is refused"), 1);
    // They would not be the domain's again, and other disks would have to wait for them.
    let grants = storage.guest.pv.grants.usage();
    assert_eq!((grants.granted, grants.parked), (many, 0));
}

#[test]
fn x05_a_target_of_0_is_refused_at_the_floor_with_one_line() {
    let setting = Setting::new(4, 64, 256);
    setting.load();
    setting.write_target("0");
    setting.storage.run_for(20 * SECOND);
    let floor = setting.pages();
    assert!((586..3 * MIB).contains(&floor), "{floor}");
    assert_eq!(setting.logged("a target of 0 KiB is refused"), 1);
    setting.counts_are_exact();
    // It lives.
    setting.set(64 * MIB);
}

#[test]
fn x05_a_target_of_2_to_the_63_stops_at_static_max_with_one_line() {
    let setting = Setting::new(5, 16, 64);
    setting.storage.world.set_limit(GUEST, 1 << 40);
    for text in ["9223372036854775808", "18446744073709551615"] {
        setting.write_target(text);
        setting.storage.run_for(100 * SECOND);
        assert_eq!(setting.pages(), 64 * MIB);
    }
    assert_eq!(setting.logged("is more than the 65536 KiB"), 2);
    setting.set(16 * MIB);
}

#[test]
fn x05_a_target_of_text_is_ignored() {
    let setting = Setting::new(6, 64, 256);
    let odd = [
        "",
        "lots",
        "-1",
        "65536 ",
        "0x4000",
        "007",
        "1e3",
        "16384\0",
        "18446744073709551616",
    ];
    for (number, text) in odd.into_iter().enumerate() {
        setting.write_target(text);
        setting.storage.run_for(11 * SECOND);
        assert_eq!(
            setting.logged("memory/target is ignored"),
            number + 1,
            "{text:?}"
        );
        assert_eq!(setting.pages(), 64 * MIB);
    }
    setting.storage.toolstack.store().remove(TARGET);
    setting.storage.run_for(SECOND);
    assert_eq!(setting.pages(), 64 * MIB);
    setting.set(32 * MIB);
}

#[test]
fn x05_a_static_max_that_is_none_leaves_xens_limit() {
    let setting = Setting::new(7, 16, 64);
    for text in ["0", "much", "99999999999999999999"] {
        setting.storage.toolstack.store().write(STATIC_MAX, text);
        setting.set(32 * MIB);
        setting.set(16 * MIB);
    }
    // One that is below what there is takes nothing away.
    setting.storage.toolstack.store().write(STATIC_MAX, "4");
    setting.storage.toolstack.set_memory(GUEST, 32 * KIB);
    setting.storage.run_for(10 * SECOND);
    assert_eq!(setting.pages(), 16 * MIB);
}

#[test]
fn x05_rapid_changes_end_at_the_last_one() {
    let setting = Setting::new(8, 64, 256);
    setting.load();
    for round in 0..2000usize {
        let target = if round.is_multiple_of(2) { 256 } else { 1 };
        setting.storage.toolstack.set_memory(GUEST, target * KIB);
        setting.storage.run_for(Duration::from_micros(50));
    }
    setting.set(48 * MIB);
    setting.storage.run_for(10 * SECOND);
    assert_eq!(setting.pages(), 48 * MIB);
    let lines = setting.logged("balloon");
    assert!(lines < 60, "{lines} lines");
}

#[test]
fn a_target_that_changes_midway_is_followed_at_once() {
    let setting = Setting::new(9, 16, 256);
    setting.storage.toolstack.set_memory(GUEST, 256 * KIB);
    setting
        .storage
        .until("it grows", |_| setting.pages() > 20 * MIB);
    setting.storage.toolstack.set_memory(GUEST, 16 * KIB);
    let most = setting.pages() + 16 * 128;
    setting.storage.until("it is back", |_| {
        assert!(setting.pages() < most, "it goes on growing");
        setting.pages() == 16 * MIB
    });
    setting.counts_are_exact();
}

#[test]
fn a_limit_that_xen_holds_is_waited_for_with_growing_pauses() {
    let setting = Setting::new(10, 16, 64);
    // The target without the limit, as a toolstack that is about to raise it.
    setting.write_target("65536");
    setting.storage.run_for(30 * SECOND);
    assert_eq!(setting.pages(), 17 * MIB, "what libxl gives beside");
    assert_eq!(setting.logged("pages more for now"), 1);
    setting.storage.world.set_limit(GUEST, 64 * MIB);
    setting.storage.run_for(64 * SECOND);
    assert_eq!(setting.pages(), 64 * MIB);
    setting.counts_are_exact();
}

#[test]
fn errors_and_partial_results_are_gone_over() {
    let setting = Setting::new(11, 16, 64);
    // The first one fails at once: an error. The others: part of a batch.
    setting.fail(Call::GetPages, When::Nth(1));
    setting.fail(Call::GetPages, When::Every(100));
    setting.set(64 * MIB);
    assert_eq!(setting.logged("cannot get pages now: ENOMEM"), 1);
    setting.fail(Call::GivePages, When::Nth(1));
    setting.fail(Call::GivePages, When::Every(100));
    setting.set(16 * MIB);
    assert_eq!(setting.logged("cannot give pages now: ENOMEM"), 1);
}

#[test]
fn as_long_as_xen_refuses_it_asks_ever_more_rarely() {
    let setting = Setting::new(12, 16, 64);
    setting.fail(Call::GetPages, When::From(1));
    setting.storage.toolstack.set_memory(GUEST, 64 * KIB);
    let turns = setting.storage.guest.pv.exec.turns();
    setting.storage.run_for(1000 * SECOND);
    let turns = setting.storage.guest.pv.exec.turns() - turns;
    assert!(turns < 100, "{turns} turns in 1000 s");
    assert_eq!(setting.pages(), 16 * MIB);
    // A new target is tried at once.
    setting.storage.world.clear_faults();
    setting.storage.toolstack.set_memory(GUEST, 63 * KIB);
    setting.storage.run_for(SECOND);
    assert_eq!(setting.pages(), 63 * MIB);
}

#[test]
fn pages_that_are_refused_make_smaller_batches() {
    let setting = Setting::new(13, 64, 64);
    setting.fail(Call::AllocPage, When::Every(2));
    setting.storage.toolstack.set_memory(GUEST, 32 * KIB);
    setting.storage.run_for(2 * SECOND);
    assert_eq!(setting.pages(), 32 * MIB);
}

#[test]
fn neighbours_are_served_between_two_batches() {
    let setting = Setting::new(14, 16, 256);
    let before = setting.storage.guest.pv.exec.turns();
    setting.storage.toolstack.set_memory(GUEST, 256 * KIB);
    setting
        .storage
        .until("it has grown", |_| setting.pages() == 256 * MIB);
    let turns = setting.storage.guest.pv.exec.turns() - before;
    assert!(turns >= 480, "{turns} turns for 480 batches");
}

#[test]
fn the_whole_domain_follows_its_target_and_shows_it() {
    let config = DomainConfig {
        pages: 64 * MIB,
        most_pages: 256 * MIB,
        ..DomainConfig::default()
    };
    let machine = Machine::boot_with(15, "md=ram:4M", config, |_, _| {});
    machine.until_shown("ready");
    machine.until_shown("xenolith> ");
    machine.run_for(SECOND);
    let shown = machine.command("mem");
    assert!(shown.contains("memory: 65536 KiB"), "{shown}");
    assert!(
        shown.contains("target: 65536 KiB, static-max: 262144 KiB"),
        "{shown}"
    );
    assert!(
        shown.contains("pages given to Xen: 0, got from it: 0"),
        "{shown}"
    );
    machine.toolstack.set_memory(Machine::GUEST, 16 * KIB);
    machine.until_shown("16384 KiB now");
    machine.run_for(SECOND);
    let shown = machine.command("mem");
    assert!(shown.contains("memory: 16384 KiB"), "{shown}");
    assert!(
        shown.contains("pages given to Xen: 12288, got from it: 0"),
        "{shown}"
    );
    assert_eq!(machine.world.reservation(DomId(1)), 16 * MIB);
}
