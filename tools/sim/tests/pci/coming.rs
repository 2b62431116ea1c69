//! Functions that come and go.

use std::time::Duration;

use pcifront::{Failure, Function};
use sim::pciback::Lie;
use sim::{Dom, PciConfig};

use crate::setting::{GUEST, PCI, Setting};

fn second() -> PciConfig {
    PciConfig {
        id: (0x8086, 0x5845),
        bars: vec![(0, 0xc0_0001_0000, 0x2000)],
        line: None,
        ..PciConfig::default()
    }
}

#[test]
fn a_function_without_a_driver_is_listed_and_left_alone() {
    let setting = Setting::new();
    let config = PciConfig {
        class: 0x02_0000,
        ..PciConfig::default()
    };
    let device = setting.device(config);
    let pciback = setting.attach(vec![device.clone()]);
    setting.until_connected(&pciback);
    let functions = setting.pcifront.functions();
    assert_eq!(functions.len(), 1);
    assert_eq!(functions[0].driver, None);
    assert_eq!(functions[0].id.class, 0x02_0000);
    assert!(!device.is_master());
    assert_eq!(pciback.operations(), 2, "only what it is was read");
}

#[test]
fn a_function_is_added_and_taken_away_while_another_stays() {
    let setting = Setting::new();
    let (pciback, _, first) = setting.attach_one(PciConfig::default());
    let held = setting.guest.holdings(&setting.toolstack);
    pciback.add(setting.device(second()));
    setting.until_connected(&pciback);
    assert_eq!(setting.pcifront.functions().len(), 2);
    let added = setting.function();
    assert_eq!(added.address().slot, 1);
    let asking = added.clone();
    let interrupts = setting.run(async move {
        asking.enable().await?;
        asking.interrupts(1).await
    });
    assert!(interrupts.is_ok());
    drop(interrupts);
    pciback.remove(1);
    setting.until_connected(&pciback);
    assert!(!pciback.has(1));
    assert!(added.is_gone() && !first.is_gone());
    assert_eq!(setting.told.borrow().ended, 1);
    assert_eq!(setting.pcifront.functions().len(), 1);
    let gone = setting.run(async move { added.read(0, 4).await });
    assert_eq!(gone, Err(Failure::Gone));
    let stays = setting.run(async move { first.read(0, 2).await });
    assert_eq!(stays, Ok(0x1b36));
    setting.run_for(Duration::from_secs(10));
    assert_eq!(setting.guest.holdings(&setting.toolstack), held);
}

#[test]
fn a_device_is_off_before_the_backend_takes_it() {
    let setting = Setting::new();
    let (pciback, device, function) = setting.attach_one(PciConfig::default());
    let interrupts = setting.run(async move {
        function.enable().await?;
        function.let_use_memory().await?;
        function.interrupts(1).await
    });
    assert!(interrupts.is_ok() && device.is_master());
    drop(interrupts);
    const WRITE: u32 = 1;
    let (seen, on) = (device.clone(), std::rc::Rc::default());
    let noted: std::rc::Rc<std::cell::Cell<_>> = std::rc::Rc::clone(&on);
    pciback.set_liar(move |asked| {
        if asked.command == WRITE {
            noted.set(Some(seen.vectors().0));
        }
        None
    });
    pciback.remove(0);
    setting.until("it is taken away", |_| !pciback.has(0));
    assert_eq!(on.get(), Some(0), "messages first, then the bus master");
    assert_eq!(pciback.taken(), Some((false, 0)));
}

#[test]
fn a_driver_that_does_not_leave_holds_the_toolstack_up_for_seconds_only() {
    let setting = Setting::with(true);
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let began = setting.world.now();
    pciback.remove(0);
    setting.until("it is taken away", |_| !pciback.has(0));
    let took = setting.world.now().since(began);
    assert!((4..7).contains(&took.as_secs()), "{took:?}");
    assert!(function.is_gone());
    assert_eq!(setting.guest.log_lines("does not leave"), 1);
    assert!(setting.pcifront.functions().is_empty());
}

#[test]
fn a_driver_that_is_told_to_leave_can_keep_its_function_from_memory() {
    let setting = Setting::with(true);
    let (pciback, device, function) = setting.attach_one(PciConfig::default());
    let asking = function.clone();
    let on = setting.run(async move {
        asking.enable().await?;
        asking.let_use_memory().await
    });
    assert_eq!((on, device.is_master()), (Ok(()), true));
    pciback.remove(0);
    setting.until("it is told", |_| function.is_gone());
    let asking = function.clone();
    let kept = setting.run(async move { asking.keep_from_memory().await });
    assert_eq!((kept, device.is_master()), (Ok(()), false));
    // One that says that it is so and it is not is not believed.
    device.poke(4, &[6, 0]);
    const READ: u32 = 0;
    pciback.set_liar(move |asked| (asked.command == READ).then_some(Lie::Value(6)));
    let kept = setting.run(async move { function.keep_from_memory().await });
    assert!(matches!(kept, Err(Failure::Nonsense(_))), "{kept:?}");
}

#[test]
fn a_function_that_is_pulled_out_uses_no_memory() {
    let setting = Setting::new();
    let (_pciback, device, function) = setting.attach_one(PciConfig::default());
    let asking = function.clone();
    let on = setting.run(async move { asking.let_use_memory().await });
    assert_eq!((on, device.is_master()), (Ok(()), true));
    device.pull();
    let kept = setting.run(async move { function.keep_from_memory().await });
    assert_eq!(kept, Ok(()));
}

#[test]
fn a_bus_master_that_the_backend_knows_nothing_of_is_turned_off() {
    let setting = Setting::new();
    let left_on = PciConfig {
        is_left_on: true,
        ..PciConfig::default()
    };
    let (_pciback, device, function) = setting.attach_one(left_on);
    assert!(device.is_master());
    let kept = setting.run(async move { function.keep_from_memory().await });
    assert_eq!((kept, device.is_master()), (Ok(()), false));
}

#[test]
fn a_function_that_fails_while_another_is_late_has_its_own_time() {
    let setting = Setting::with(true);
    let (pciback, _, late) = setting.attach_one(PciConfig::default());
    let device = setting.device(second());
    pciback.add(device.clone());
    setting.until_connected(&pciback);
    let failing = setting.function();
    let asking = failing.clone();
    let on = setting.run(async move { asking.let_use_memory().await });
    assert_eq!(on, Ok(()));
    pciback.remove(0);
    setting.run_for(Duration::from_millis(4900));
    pciback.report([6, 2, 0, 0, 8]);
    setting.until("it is told", |_| failing.is_gone());
    setting.until("the other is taken away", |_| !pciback.has(0));
    let kept = setting.run(async move { late.keep_from_memory().await });
    assert_eq!(kept, Ok(()));
    assert!(device.is_master(), "its driver is at work on it");
    let kept = setting.run(async move { failing.keep_from_memory().await });
    assert_eq!((kept, device.is_master()), (Ok(()), false));
}

#[test]
fn a_backend_that_is_slow_once_costs_no_other_function() {
    let setting = Setting::new();
    let (pciback, _, first) = setting.attach_one(PciConfig::default());
    let mut slow = true;
    pciback.set_liar(move |_| {
        let once = std::mem::replace(&mut slow, false);
        once.then_some(Lie::Late(Duration::from_secs(3)))
    });
    pciback.add(setting.device(second()));
    setting.until_connected(&pciback);
    assert!(!first.is_gone());
    assert_eq!(setting.told.borrow().started.len(), 2);
}

#[test]
fn a_driver_that_is_late_leaves_its_successor_alone() {
    let setting = Setting::with(true);
    let (pciback, device, late) = setting.attach_one(PciConfig::default());
    let turn_on = |function: &Function<Dom>| {
        let function = function.clone();
        let interrupts = setting.run(async move {
            function.enable().await?;
            function.let_use_memory().await?;
            function.interrupts(1).await
        });
        drop(interrupts.expect("there are some"));
    };
    turn_on(&late);
    assert_eq!((device.is_master(), device.vectors().0), (true, 1));
    pciback.remove(0);
    setting.until("it is taken away", |_| !pciback.has(0));
    assert_eq!(pciback.taken(), Some((false, 0)));
    let device = setting.device(PciConfig::default());
    pciback.add(device.clone());
    setting.until_connected(&pciback);
    let next = setting.function();
    assert_eq!(next.address(), late.address());
    turn_on(&next);
    let kept = setting.run(async move { late.keep_from_memory().await });
    assert_eq!(kept, Ok(()), "it was, before another one came");
    let relent = setting.told.borrow().relent.clone();
    relent.notify();
    setting.world.wake_domain(GUEST);
    setting.until("it ends", |setting| setting.told.borrow().ended == 1);
    setting.run_for(Duration::from_secs(10));
    assert_eq!((device.is_master(), device.vectors().0), (true, 1));
    assert!(!next.is_gone());
}

#[test]
fn what_a_late_driver_did_not_turn_off_is_not_touched_when_it_is_anothers() {
    const READ: u32 = 0;
    let setting = Setting::with(true);
    let (pciback, _, late) = setting.attach_one(PciConfig::default());
    pciback.set_liar(|asked| (asked.command == READ).then_some(Lie::Value(6)));
    pciback.remove(0);
    setting.until("it is taken away", |_| !pciback.has(0));
    pciback.repent();
    let device = setting.device(PciConfig::default());
    pciback.add(device.clone());
    setting.until_connected(&pciback);
    let next = setting.function();
    let on = setting.run(async move { next.let_use_memory().await });
    assert_eq!((on, device.is_master()), (Ok(()), true));
    let kept = setting.run(async move { late.keep_from_memory().await });
    assert_eq!((kept, device.is_master()), (Err(Failure::Gone), true));
}

#[test]
fn the_whole_frontend_is_taken_away_and_nothing_is_left() {
    let setting = Setting::new();
    let before = setting.guest.holdings(&setting.toolstack);
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    let detach = setting.toolstack.detach_pci(&PCI);
    setting.until("it is detached", |_| detach.outcome().is_some());
    assert!(matches!(detach.outcome(), Some(Ok(took)) if took < Duration::from_secs(2)));
    assert!(function.is_gone() && !pciback.is_connected());
    assert_eq!(setting.told.borrow().ended, 1);
    // Whoever has a function has the page.
    drop(function);
    setting.told.borrow_mut().started.clear();
    setting.run_for(Duration::from_secs(70));
    assert_eq!(setting.guest.holdings(&setting.toolstack), before);
    // And again.
    let pciback = setting.attach(vec![setting.device(second())]);
    setting.until_connected(&pciback);
    assert_eq!(setting.told.borrow().started.len(), 1);
}

#[test]
fn an_error_that_is_not_fatal_is_reported_and_a_fatal_one_ends_the_driver() {
    let setting = Setting::new();
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    pciback.report([6, 1, 0, 0, 0]);
    setting.run_for(Duration::from_secs(1));
    assert!(!function.is_gone());
    assert_eq!(setting.guest.log_lines("reports: an error"), 1);
    pciback.report([6, 2, 0, 0, 0]);
    setting.run_for(Duration::from_secs(1));
    assert!(function.is_gone());
    assert_eq!(setting.told.borrow().ended, 1);
    pciback.report([9, 0, 0, 0, 0]);
    setting.run_for(Duration::from_secs(1));
    // CAN_RECOVER, NEED_RESET, RECOVERED: none of them has Linux's backend end the domain.
    assert_eq!(pciback.verdicts(), [2, 3, 5]);
}

#[test]
fn a_function_that_failed_is_driven_again_only_when_it_was_taken_away() {
    let setting = Setting::new();
    let (pciback, _, function) = setting.attach_one(PciConfig::default());
    pciback.report([6, 2, 0, 0, 0]);
    setting.until("it is given up", |_| function.is_gone());
    // Another one comes and goes: the one that failed lies there as before.
    pciback.add(setting.device(second()));
    setting.until_connected(&pciback);
    pciback.remove(1);
    setting.until("the other is taken away", |_| !pciback.has(1));
    setting.until_connected(&pciback);
    assert_eq!(setting.told.borrow().started.len(), 2);
    pciback.remove(0);
    setting.until("it is taken away", |_| !pciback.has(0));
    setting.until_connected(&pciback);
    pciback.add(setting.device(PciConfig::default()));
    setting.until_connected(&pciback);
    assert_eq!(setting.told.borrow().started.len(), 3);
    assert_eq!(setting.function().address(), function.address());
}
