//! A backend that is not honest.

use std::time::Duration;

use hv::{Errno, Hypervisor as _, PAGE_SIZE, Page as _};
use pcifront::{Bar, Failure, Way};
use sim::pciback::Lie;
use sim::{PciConfig, Pciback};

use crate::setting::{PCI, Setting};

const READ: u32 = 0;
const ENABLE_MSIX: u32 = 4;

/// Whether the guest still does what it is for.
fn lives(setting: &Setting) {
    let exec = setting.guest.pv.exec.clone();
    setting.run(async move { exec.sleep(Duration::from_secs(1)).await });
    assert_eq!(setting.world.violations(), Vec::<String>::new());
}

#[test]
fn p01_garbage_in_every_register_is_survived() {
    for garbage in [0, u32::MAX, 0xdead_beef, 0x4444_4444, 0x1111_1111] {
        let setting = Setting::new();
        let (pciback, _, function) = setting.attach_one(PciConfig::default());
        pciback.set_liar(move |asked| (asked.command == READ).then_some(Lie::Value(garbage)));
        let came = setting.run(async move {
            for index in 0..=6 {
                let bar = function.bar(index).await;
                assert!(bar.is_err(), "{garbage:#x} is no place: {bar:?}");
            }
            function.enable().await?;
            function.interrupts(4).await
        });
        // The interrupt that garbage names is not this domain's.
        assert!(came.is_err(), "{garbage:#x}");
        assert!(pciback.operations() < 500, "{}", pciback.operations());
        pciback.repent();
        assert_eq!(
            setting.read(0, 2),
            Ok(0x1b36),
            "the function is there as before"
        );
        lives(&setting);
    }
}

#[test]
fn p01_vectors_that_cannot_be_are_turned_off_and_the_line_is_taken() {
    for vectors in [
        vec![0, 0],
        vec![100, 0],
        vec![0x8000, 100],
        vec![100, 100],
        vec![0xffff, 0xfffe],
        // Another domain's, or nobody's.
        vec![100, 4000],
    ] {
        let setting = Setting::new();
        let (pciback, device, function) = setting.attach_one(PciConfig::default());
        let lied = vectors.clone();
        pciback.set_liar(move |asked| {
            (asked.command == ENABLE_MSIX).then(|| Lie::Vectors(lied.clone()))
        });
        let interrupts = setting.run(async move {
            function.enable().await?;
            function.interrupts(2).await
        });
        let interrupts = interrupts.expect("there is a line");
        assert_eq!(interrupts.len(), 1, "{vectors:?}");
        assert_eq!(interrupts[0].way(), Way::Intx, "{vectors:?}");
        assert_eq!(device.vectors().0, 0, "{vectors:?}");
        lives(&setting);
    }
}

#[test]
fn p01_a_backend_that_never_answers_ends_its_devices_in_seconds() {
    let setting = Setting::new();
    let before = setting.guest.holdings(&setting.toolstack);
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let asked = pciback.operations();
    pciback.set_liar(|_| Some(Lie::Silence));
    let began = setting.world.now();
    assert_eq!(setting.read(0, 4), Err(Failure::TimedOut));
    let took = setting.world.now().since(began);
    assert!((2..3).contains(&took.as_secs()), "{took:?}");
    assert_eq!(setting.read(0, 4), Err(Failure::TimedOut));
    assert_eq!(setting.read(0, 4), Err(Failure::Gone));
    setting.until("the driver has ended", |setting| {
        setting.told.borrow().ended == 1
    });
    assert!(function.is_gone());
    let put = pciback.operations() - asked;
    assert_eq!(put, 1, "nothing is put over an operation");
    setting.run_for(Duration::from_secs(30));
    assert_eq!(setting.front_state().as_deref(), Some("6"));
    lives(&setting);
    let detach = setting.toolstack.detach_pci(&PCI);
    setting.until("it is detached", |_| detach.outcome().is_some());
    // Whoever has a function has the page.
    drop(function);
    setting.told.borrow_mut().started.clear();
    setting.run_for(Duration::from_secs(10));
    // The toolstack's node that says what went wrong stays.
    let held = setting.guest.holdings(&setting.toolstack);
    assert_eq!((held.xen, held.tasks), (before.xen, before.tasks));
}

#[test]
fn p01_a_backend_that_is_silent_from_the_start_is_given_up() {
    let setting = Setting::new();
    let device = setting.device(PciConfig::default());
    let pciback = setting.attach(vec![device]);
    pciback.set_liar(|_| Some(Lie::Silence));
    setting.until("it is given up", |setting| {
        setting.front_state().as_deref() == Some("6")
    });
    assert!(setting.told.borrow().started.is_empty());
    lives(&setting);
}

#[test]
fn p01_an_answer_after_the_timeout_is_of_no_account() {
    let setting = Setting::new();
    let (pciback, _, _) = setting.attach_one(PciConfig::default());
    let mut first = true;
    pciback.set_liar(move |asked| {
        let late = std::mem::take(&mut first);
        assert_eq!(asked.command, READ);
        late.then_some(Lie::Late(Duration::from_secs(3)))
    });
    assert_eq!(setting.read(0, 4), Err(Failure::TimedOut));
    // It waits for the late answer, and is then asked for itself.
    assert_eq!(setting.read(8, 4), Ok(0x0108_0202));
    assert_eq!(setting.read(0, 4), Ok(0x0010_1b36));
    lives(&setting);
}

#[test]
fn p01_what_a_driver_gave_up_waiting_for_is_not_another_ones_answer() {
    let setting = Setting::new();
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let mut first = true;
    pciback.set_liar(move |_| {
        let late = std::mem::take(&mut first);
        late.then_some(Lie::Late(Duration::from_millis(500)))
    });
    let exec = setting.guest.pv.exec.clone();
    let (given_up, value) = setting.run(async move {
        let short = Duration::from_millis(100);
        let given_up = exec.timeout(short, function.read(0, 4)).await.is_err();
        (given_up, function.read(8, 4).await)
    });
    assert!(given_up);
    assert_eq!(value, Ok(0x0108_0202));
}

#[test]
fn p01_an_answer_to_another_operation_ends_the_devices() {
    for word in [0, 2, 3, 4, 5, 6] {
        let setting = Setting::new();
        let (pciback, _, function) = setting.attach_one(PciConfig::default());
        pciback.set_liar(move |_| Some(Lie::Word(word, 77)));
        assert_eq!(setting.read(0, 4), Err(Failure::Gone));
        setting.until("the driver has ended", |setting| {
            setting.told.borrow().ended == 1
        });
        assert!(function.is_gone());
        assert_eq!(setting.guest.log_lines("answered what was not asked"), 1);
        lives(&setting);
    }
}

#[test]
fn p01_errors_that_there_are_not_are_errors() {
    let setting = Setting::new();
    let (pciback, _, _) = setting.attach_one(PciConfig::default());
    for error in [-1, -5, -6, 1, i32::MIN, i32::MAX] {
        pciback.set_liar(move |_| Some(Lie::Error(error)));
        assert_eq!(setting.read(0, 4), Err(Failure::Refused(error)));
    }
    lives(&setting);
}

#[test]
fn p02_flags_that_the_protocol_does_not_have_end_the_devices() {
    for flags in [8, 1 << 31, 1] {
        let setting = Setting::new();
        let (pciback, _, function) = setting.attach_one(PciConfig::default());
        // The backend is not to find them before the guest does.
        setting.run_for(Duration::from_secs(1));
        pciback.set_flags(flags);
        setting.until("the driver has ended", |setting| {
            setting.told.borrow().ended == 1
        });
        assert!(function.is_gone(), "{flags:#x}");
        lives(&setting);
    }
}

#[test]
fn p02_reports_of_nothing_are_answered_and_change_nothing() {
    let setting = Setting::new();
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let reports = [
        [99, 1, 0, 0, 0],
        [6, 2, 0, 0, 8],
        [6, 2, 0x1_0000, 0, 0],
        [6, 2, 0, 0, 0x1_0000],
        [u32::MAX; 5],
    ];
    for report in reports {
        pciback.report(report);
        setting.run_for(Duration::from_millis(100));
    }
    assert_eq!(pciback.verdicts(), [1; 5]);
    assert!(!function.is_gone());
    assert_eq!(setting.read(0, 2), Ok(0x1b36));
    lives(&setting);
}

#[test]
fn p02_a_storm_of_reports_leaves_the_guest_its_time() {
    let setting = Setting::new();
    let (pciback, _, _) = setting.attach_one(PciConfig::default());
    for _ in 0..1000 {
        pciback.report([6, 1, 0, 0, 0]);
        setting.run_for(Duration::from_micros(100));
    }
    assert!(setting.guest.log().len() < 200, "the log is limited");
    assert_eq!(setting.read(0, 2), Ok(0x1b36));
    lives(&setting);
}

fn attach_lying(setting: &Setting, keys: &[(&str, &str)]) -> Pciback {
    let device = setting.device(PciConfig::default());
    let keys = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
        .collect();
    Pciback::attach_lying(&setting.world, &setting.toolstack, PCI, vec![device], keys)
}

#[test]
fn p02_only_as_many_devices_are_looked_at_as_there_are_said_to_be() {
    let setting = Setting::new();
    let beyond = [("vdev-1", "0000:00:00.00"), ("vdev-2", "0000:00:02.00")];
    let pciback = attach_lying(&setting, &beyond);
    setting.until_connected(&pciback);
    assert_eq!(setting.pcifront.functions().len(), 1);
    assert_eq!(pciback.operations(), 2);
}

#[test]
fn p02_a_number_of_devices_beyond_reason_is_bounded() {
    let setting = Setting::new();
    let lies = [
        ("num_devs", "4294967295"),
        ("vdev-1", "0000:00:00.00"),
        ("vdev-2", "no place"),
        ("vdev-3", "0000:00:05.00"),
        ("state-3", "junk"),
    ];
    let pciback = attach_lying(&setting, &lies);
    setting.until_connected(&pciback);
    assert_eq!(setting.pcifront.functions().len(), 1);
    assert_eq!(setting.guest.log_lines("odd or too many"), 1);
    lives(&setting);
}

#[test]
fn p02_devices_that_appear_without_a_word_are_not_looked_for() {
    let setting = Setting::new();
    let (pciback, _, _) = setting.attach_one(PciConfig::default());
    let asked = pciback.operations();
    setting.write_back("num_devs", "2");
    setting.write_back("vdev-1", "0000:00:00.00");
    setting.run_for(Duration::from_secs(5));
    assert_eq!(pciback.operations(), asked);
}

#[test]
fn p03_registers_at_the_guests_own_memory_are_not_mapped() {
    let setting = Setting::new();
    let page = setting.guest.pv.hv.alloc_page().expect("there is memory");
    let address = page.mfn().0 * PAGE_SIZE as u64;
    let config = PciConfig {
        bars: vec![(0, address, PAGE_SIZE as u64)],
        ..PciConfig::default()
    };
    // Xen would map it, and so would the simulator's.
    let (_, _, function) = setting.attach_one(config);
    let mapped = setting.run(async move {
        let bar = function.bar(0).await?;
        assert_eq!(bar.address, address);
        function.map(&bar).map(drop)
    });
    assert_eq!(mapped, Err(Failure::Xen(Errno::EINVAL)));
}

#[test]
fn p03_registers_at_those_of_another_function_are_refused() {
    let setting = Setting::new();
    let other = PciConfig {
        line: None,
        bars: vec![(0, 0xc0_0000_2000, 0x2000)],
        ..PciConfig::default()
    };
    let devices = vec![setting.device(PciConfig::default()), setting.device(other)];
    let pciback = setting.attach(devices);
    setting.until_connected(&pciback);
    let functions = setting.told.borrow().started.clone();
    let [first, second] = <[_; 2]>::try_from(functions).ok().expect("two");
    let bars = setting.run(async move { (first.bar(0).await, second.bar(0).await) });
    assert!(bars.0.is_ok());
    assert!(matches!(bars.1, Err(Failure::Nonsense(_))), "{:?}", bars.1);
}

#[test]
fn p03_the_expansion_rom_is_not_looked_at() {
    let setting = Setting::new();
    let (pciback, device, function) = setting.attach_one(PciConfig::default());
    device.poke(0x30, &0xfffe_0001u32.to_le_bytes());
    let asked = pciback.operations();
    let rom = setting.run(async move { function.bar(6).await });
    assert_eq!(rom, Err(Failure::Absent));
    assert_eq!(pciback.operations(), asked);
}

#[test]
fn p03_a_size_that_is_no_power_of_two_or_a_register_that_moves_is_refused() {
    for probed in [0xffff_5004, 0x0000_4004, 0xffff_ffff] {
        let setting = Setting::new();
        let (pciback, _, function) = setting.attach_one(PciConfig::default());
        let mut reads = 0;
        pciback.set_liar(move |asked| {
            let low = asked.command == READ && asked.offset == 0x10;
            reads += u32::from(low);
            // The first read is before the probe, the second is the probe's.
            (low && reads == 2).then_some(Lie::Value(probed))
        });
        let bar = setting.run(async move { function.bar(0).await });
        let is_sane =
            |bar: &Bar| bar.bytes.is_power_of_two() && bar.address.is_multiple_of(bar.bytes);
        match bar {
            // All ones is 16 bytes, which is less than can be mapped.
            Ok(bar) => assert!(probed == u32::MAX && is_sane(&bar)),
            Err(failure) => assert!(matches!(failure, Failure::Nonsense(_)), "{failure:?}"),
        }
    }
    let setting = Setting::new();
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let mut reads = 0;
    pciback.set_liar(move |asked| {
        let low = asked.command == READ && asked.offset == 0x10;
        reads += u32::from(low);
        (low && reads == 3).then_some(Lie::Value(0x1000_0004))
    });
    let moved = setting.run(async move { function.bar(0).await });
    assert!(matches!(moved, Err(Failure::Nonsense(_))), "{moved:?}");
}
