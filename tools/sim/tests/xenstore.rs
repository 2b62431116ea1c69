//! The shipped xenstore client against the simulated daemon's real bytes.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use exec::Mailbox;
use hv::{DomId, Resumed};
use sim::xenstored::Permission;
use sim::{DomainConfig, Guest, Toolstack, World};
use xenbus::{Store, StoreError};

const ONE: DomId = DomId(1);

struct Setting {
    world: World,
    toolstack: Toolstack,
    guest: Guest,
    /// The client under test.
    store: Store,
}

/// The client that has the connection, and one that asks it as those of other run loops do.
fn both(seed: u64) -> [Setting; 2] {
    [false, true].map(|behind| {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let guest = Guest::start(&world, &toolstack, ONE, DomainConfig::default());
        let mut store = guest.store.clone();
        if behind {
            let (pv, mailbox) = (&guest.pv, Mailbox::default());
            store = Store::behind(pv, &mailbox);
            let served = mailbox.serve(pv.exec.clone(), guest.store.clone());
            pv.exec.spawn("mailbox", served);
        }
        Setting {
            world,
            toolstack,
            guest,
            store,
        }
    })
}

impl Setting {
    /// Runs `ask` in the guest.
    fn ask<T: 'static>(&self, ask: impl AsyncFnOnce(Store) -> T + 'static) -> T {
        let store = self.store.clone();
        let future = async move { ask(store).await };
        self.guest.run(&self.world, future).unwrap()
    }
}

#[test]
fn values_are_written_and_read_by_relative_and_absolute_paths() {
    for setting in both(1) {
        let read = setting.ask(async |store| {
            store.write("data/stone", "rock").await?;
            store.mkdir("data/empty").await?;
            let absolute = store.read("/local/domain/1/data/stone").await?;
            let listed = store.list("data").await?;
            Ok::<_, StoreError>((absolute, listed))
        });
        let expected = ("rock".into(), vec!["empty".into(), "stone".into()]);
        assert_eq!(read, Ok(expected));
        let seen = setting.toolstack.store().read("/local/domain/1/data/stone");
        assert_eq!(seen.as_deref(), Some("rock"));
    }
}

#[test]
fn a_guest_reads_its_home_and_writes_only_what_is_its_own() {
    for setting in both(2) {
        let store = setting.toolstack.store();
        store.write("/local/domain/2/secret", "x");
        let outcome = setting.ask(async |store| {
            [
                store.read("domid").await.map(drop),
                store.write("domid", "7").await,
                store.write("new", "7").await,
                store.read("/local/domain/2/secret").await.map(drop),
                store.read("data/none").await.map(drop),
                store.remove("data/none").await,
                store.remove("none/none").await,
                store.write("control/shutdown", "").await,
            ]
        });
        let (denied, none) = (Err(StoreError::Denied), Err(StoreError::NoEntry));
        let expected = [Ok(()), denied, denied, denied, none, Ok(()), none, Ok(())];
        assert_eq!(outcome, expected);
    }
}

#[test]
fn permissions_are_read_and_set_by_the_owner() {
    for setting in both(3) {
        let store = setting.toolstack.store();
        store.write("/local/domain/1/device/vbd", "");
        let entries = [('n', 1), ('r', 7)].map(|(letter, dom)| Permission {
            dom: DomId(dom),
            letter,
        });
        store.set_permissions("/local/domain/1/device/vbd", &entries);
        let (before, after) = setting.ask(async |store| {
            let before = store.permissions("device/vbd").await.unwrap();
            store
                .set_permissions("device/vbd", &before[..1])
                .await
                .unwrap();
            (before, store.permissions("device/vbd").await.unwrap())
        });
        assert_eq!(before.len(), 2);
        assert_eq!(after, before[..1]);
        assert_eq!(before[1].domain, DomId(7));
    }
}

#[test]
fn a_list_longer_than_a_message_comes_in_parts() {
    for setting in both(4) {
        let store = setting.toolstack.store();
        for number in 0..700 {
            store.write(&format!("/local/domain/1/data/entry-{number:04}"), "");
        }
        let list = setting.ask(async |store| store.list("data").await.unwrap());
        assert_eq!(list.len(), 700);
        assert_eq!(list[699], "entry-0699");
    }
}

#[test]
fn a_watch_fires_at_once_and_then_for_what_is_below_and_for_removal_above() {
    for setting in both(5) {
        let store = setting.toolstack.store().clone();
        store.write("/local/domain/1/device/vbd/51712/state", "1");
        let guest = &setting.guest;
        let watch = setting.ask(async |store| {
            let watch = store.watch("device/vbd/51712/state").await.unwrap();
            watch.changed().await.unwrap();
            watch
        });
        let daemon = store.clone();
        let exec = guest.pv.exec.clone();
        let fired = setting.ask(async move |_| {
            let mut fired = Vec::new();
            for step in 0..4 {
                match step {
                    0 => daemon.write("/local/domain/1/device/vbd/51712/state", "2"),
                    1 => daemon.write("/local/domain/1/device/vbd/51712/state/x", ""),
                    2 => daemon.write("/local/domain/1/device/vbd/51712/other", ""),
                    _ => daemon.remove("/local/domain/1/device/vbd"),
                }
                let wait = exec.timeout(Duration::from_secs(1), watch.changed()).await;
                fired.push(wait.is_ok());
            }
            fired
        });
        assert_eq!(fired, [true, true, false, true]);
    }
}

#[test]
fn a_dropped_watch_is_taken_back() {
    for setting in both(6) {
        let watches = || setting.toolstack.store().usage(ONE).watches;
        let watch = setting.ask(async |store| store.watch("data").await.unwrap());
        assert_eq!(watches(), 1);
        drop(watch);
        setting.world.wake_domain(ONE);
        setting.world.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(watches(), 0);
    }
}

#[test]
fn a_transaction_happens_at_once_or_not_at_all() {
    for setting in both(7) {
        let daemon = setting.toolstack.store().clone();
        let outcome = setting.ask(async move |store| {
            let seen = daemon.clone();
            let done = store
                .transaction(async |tx| {
                    tx.write("data/a", "1").await?;
                    assert!(!seen.exists("/local/domain/1/data/a"));
                    tx.write("data/b", "2").await
                })
                .await;
            let refused = store
                .transaction(async |tx| {
                    tx.write("data/a", "3").await?;
                    tx.write("domid", "9").await
                })
                .await;
            (done, refused)
        });
        assert_eq!(outcome, (Ok(()), Err(StoreError::Denied)));
        // The end of the refused one is on its way.
        setting.world.run_for(Duration::from_secs(1)).unwrap();
        let store = setting.toolstack.store();
        assert_eq!(store.read("/local/domain/1/data/a").as_deref(), Some("1"));
        assert_eq!(store.usage(ONE).transactions, 0);
    }
}

#[test]
fn a_transaction_that_met_a_writer_is_done_again() {
    for setting in both(8) {
        let daemon = setting.toolstack.store().clone();
        daemon.write("/local/domain/1/data/count", "5");
        let tries = setting.ask(async move |store| {
            let mut tries = 0;
            let done = store
                .transaction(async |tx| {
                    tries += 1;
                    let count = tx.read("data/count").await?;
                    if tries == 1 {
                        daemon.write("/local/domain/1/data/count", "6");
                    }
                    tx.write("data/copy", count).await
                })
                .await;
            assert_eq!(done, Ok(()));
            tries
        });
        assert_eq!(tries, 2);
        let copy = setting.toolstack.store().read("/local/domain/1/data/copy");
        assert_eq!(copy.as_deref(), Some("6"));
    }
}

#[test]
fn x03_a_transaction_that_always_meets_others_ends_with_an_error() {
    for setting in both(9) {
        setting.toolstack.store().refuse_commits(100);
        let write = |store: Store| async move {
            store
                .transaction(async |tx| tx.write("data/a", "1").await)
                .await
        };
        let before = setting.world.now();
        assert_eq!(setting.ask(write), Err(StoreError::Again));
        let took = setting.world.now().since(before);
        assert!(took < Duration::from_secs(5), "{took:?}");
        setting.world.run_for(Duration::from_secs(1)).unwrap();
        assert_eq!(setting.toolstack.store().usage(ONE).transactions, 0);
        setting.toolstack.store().refuse_commits(3);
        assert_eq!(setting.ask(write), Ok(()));
    }
}

#[test]
fn x03_quotas_end_in_errors_of_their_own() {
    for setting in both(10) {
        let (watches, nodes, large) = setting.ask(async |store| {
            let mut watches = Vec::new();
            let mut refused = None;
            for number in 0..130 {
                match store.watch(&format!("data/w{number}")).await {
                    Ok(watch) => watches.push(watch),
                    Err(error) => refused = Some(error),
                }
            }
            let mut nodes = Ok(());
            for number in 0..1100 {
                nodes = nodes.and(store.write(&format!("data/n{number}"), "").await);
            }
            let large = store.write("data/n0", [b'x'; 3000]).await;
            ((watches.len(), refused), nodes, large)
        });
        assert_eq!(watches, (128, Some(StoreError::Quota)));
        assert_eq!(nodes, Err(StoreError::Quota));
        assert_eq!(large, Err(StoreError::Quota));
    }
}

#[test]
fn x04_a_storm_of_watch_events_is_one_change_and_starves_nobody() {
    for setting in both(11) {
        let daemon = setting.toolstack.store().clone();
        let watch = setting.ask(async |store| {
            let watch = store.watch("data").await.unwrap();
            watch.changed().await.unwrap();
            watch
        });
        for number in 0..20_000 {
            daemon.write("/local/domain/1/data/storm", number.to_string());
        }
        let memory = setting.guest.store.clone();
        let (answered, changes) = setting.ask(async move |store| {
            let answered = store.read("domid").await;
            let mut changes = 0;
            let exec = memory.exec().clone();
            while exec
                .timeout(Duration::from_secs(2), watch.changed())
                .await
                .is_ok()
            {
                changes += 1;
            }
            (answered, changes)
        });
        assert_eq!(answered.as_deref(), Ok("1"));
        assert!((1..20_000).contains(&changes), "{changes}");
    }
}

#[test]
fn a_slow_daemon_is_waited_for() {
    for setting in (100..120).flat_map(both) {
        setting
            .toolstack
            .store()
            .set_latency(Duration::from_millis(300));
        let values = setting.ask(async |store| {
            let mut values = Vec::new();
            for number in 0..10 {
                store.write("data/x", number.to_string()).await.unwrap();
                values.push(store.read("data/x").await.unwrap());
            }
            values
        });
        assert_eq!(values, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn f24_bytes_that_are_no_message_end_the_connection_and_nothing_else() {
    for setting in both(12) {
        let store = setting.toolstack.store();
        let mut header = Vec::new();
        for word in [2u32, 77, 0, 4097] {
            header.extend(word.to_le_bytes());
        }
        store.send_raw(ONE, &header);
        let read = setting.ask(async |store| store.read("domid").await);
        assert!(matches!(read, Err(StoreError::Lost(_))), "{read:?}");
    }
}

#[test]
fn watches_of_other_run_loops_on_the_same_node_are_one_of_the_daemons() {
    let [_, setting] = both(13);
    let daemon = setting.toolstack.store().clone();
    let watches = || setting.toolstack.store().usage(ONE).watches;
    let first = setting.ask(async |store| {
        let watch = store.watch("data").await.unwrap();
        watch.changed().await.unwrap();
        watch
    });
    let second = setting.ask(async |store| {
        let watch = store.watch("data").await.unwrap();
        watch.changed().await.unwrap();
        watch
    });
    let other = setting.ask(async |store| store.watch("device").await.unwrap());
    assert_eq!(watches(), 2);
    daemon.write("/local/domain/1/data/x", "");
    let first = setting.ask(async move |_| {
        first.changed().await.unwrap();
        second.changed().await.unwrap();
        first
    });
    // One of the two is dropped.
    daemon.write("/local/domain/1/data/y", "");
    setting.ask(async move |_| first.changed().await.unwrap());
    drop(other);
    setting.world.wake_domain(ONE);
    setting.world.run_for(Duration::from_secs(1)).unwrap();
    assert_eq!(watches(), 0);
    let again = setting.ask(async |store| {
        let watch = store.watch("data").await.unwrap();
        watch.changed().await.unwrap();
        watch
    });
    assert_eq!(watches(), 1);
    drop(again);
}

#[test]
fn a_run_loop_whose_transaction_waits_for_those_of_others_can_be_held() {
    let [_, setting] = both(14);
    let (pv, mailbox) = (&setting.guest.pv, Mailbox::default());
    let other = Store::behind(pv, &mailbox);
    let served = mailbox.serve(pv.exec.clone(), setting.guest.store.clone());
    pv.exec.spawn("mailbox", served);
    let [open, done] = [(); 2].map(|()| Rc::new(Cell::new(0)));
    for number in 0..20 {
        let store = if number < 10 { &setting.store } else { &other };
        let (store, open, done) = (store.clone(), open.clone(), done.clone());
        pv.exec.spawn("transaction", async move {
            let body = async |tx: &Store| {
                open.set(open.get() + 1);
                tx.exec().sleep(Duration::from_secs(5)).await;
                tx.write(&format!("data/x{number}"), "").await
            };
            store.transaction(body).await.unwrap();
            done.set(done.get() + 1);
        });
    }
    let exec = pv.exec.clone();
    let stores = [setting.store.clone(), other, setting.guest.store.clone()];
    setting.ask(async move |_| {
        exec.sleep(Duration::from_secs(1)).await;
        for store in &stores {
            let held = exec.timeout(Duration::from_secs(5), store.hold()).await;
            assert_eq!(held.unwrap(), Ok(()));
        }
        for store in &stores {
            store.release(Resumed::Cancelled);
        }
    });
    assert!((1..20).contains(&open.get()), "some wait: {}", open.get());
    setting.world.run_for(Duration::from_secs(600)).unwrap();
    assert_eq!(done.get(), 20, "all are done");
}
