use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use super::*;
use crate::Notify;

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

#[test]
fn a_task_runs_to_its_end_and_its_slot_is_used_again() {
    let exec = Executor::new();
    for _ in 0..3 {
        exec.spawn("once", async {});
        assert_eq!(exec.tasks().len(), 1);
        assert!(!exec.turn(at(0)));
        assert!(exec.tasks().is_empty());
    }
    assert_eq!(exec.polls(), 3);
}

#[test]
fn a_task_may_spawn_and_drop_while_it_is_polled() {
    let exec = Executor::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (inner, log) = (exec.clone(), seen.clone());
    exec.spawn("parent", async move {
        let log_of_child = log.clone();
        inner.spawn(
            "child",
            async move { log_of_child.borrow_mut().push("child") },
        );
        log.borrow_mut().push("parent");
    });
    exec.turn(at(0));
    assert_eq!(*seen.borrow(), ["parent", "child"]);
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    let exec = Executor::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    for wait in [30, 10, 20] {
        let (inner, log) = (exec.clone(), seen.clone());
        exec.spawn("sleeper", async move {
            inner.sleep(Duration::from_millis(wait)).await;
            log.borrow_mut().push(wait);
        });
    }
    exec.turn(at(0));
    assert_eq!(exec.next_deadline(), Some(at(10)));
    exec.turn(at(9));
    assert!(seen.borrow().is_empty());
    exec.turn(at(10));
    assert_eq!(*seen.borrow(), [10]);
    exec.turn(at(100));
    assert_eq!(*seen.borrow(), [10, 20, 30]);
    assert_eq!(exec.next_deadline(), None);
}

#[test]
fn a_dropped_sleep_leaves_no_deadline() {
    let exec = Executor::new();
    let inner = exec.clone();
    exec.spawn("hasty", async move {
        let done = inner.timeout(Duration::from_secs(10), async { 7 }).await;
        assert_eq!(done, Ok(7));
    });
    exec.turn(at(0));
    assert_eq!(exec.next_deadline(), None);
}

#[test]
fn a_timeout_ends_a_future_that_is_never_ready() {
    let exec = Executor::new();
    let (inner, seen) = (exec.clone(), Rc::new(Cell::new(false)));
    let flag = seen.clone();
    exec.spawn("patient", async move {
        let never = core::future::pending::<()>();
        assert_eq!(
            inner.timeout(Duration::from_millis(5), never).await,
            Err(Elapsed)
        );
        flag.set(true);
    });
    exec.turn(at(0));
    exec.turn(at(5));
    assert!(seen.get());
}

#[test]
fn a_task_that_always_wakes_itself_does_not_hold_the_turn() {
    let exec = Executor::new();
    let inner = exec.clone();
    exec.spawn("busy", async move {
        loop {
            inner.yield_now().await;
        }
    });
    assert!(exec.turn(at(0)), "the task is still ready");
    assert_eq!(exec.polls(), POLLS_A_TURN as u64);
}

#[test]
fn waking_a_task_that_has_ended_does_nothing_to_its_successor() {
    let exec = Executor::new();
    let stale = Rc::new(RefCell::new(None));
    let keep = stale.clone();
    exec.spawn("first", async move {
        core::future::poll_fn(|context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        })
        .await;
    });
    exec.turn(at(0));
    exec.spawn("second", core::future::pending());
    exec.turn(at(0));
    let polls = exec.polls();
    stale.borrow_mut().take().unwrap().wake();
    exec.turn(at(0));
    assert_eq!(exec.polls(), polls);
}

#[test]
fn a_notification_before_the_wait_is_not_lost() {
    let exec = Executor::new();
    let notify = Rc::new(Notify::new());
    notify.notify();
    let (waiter, seen) = (notify.clone(), Rc::new(Cell::new(0)));
    let count = seen.clone();
    exec.spawn("waiter", async move {
        loop {
            waiter.notified().await;
            count.set(count.get() + 1);
        }
    });
    exec.turn(at(0));
    assert_eq!(seen.get(), 1);
    notify.notify();
    notify.notify();
    exec.turn(at(0));
    assert_eq!(seen.get(), 2, "two notifications before a wait are one");
}

#[test]
fn dropped_tasks_let_go_of_the_executor_that_they_own() {
    struct SpawnsWhenDropped(Executor);
    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            self.0.spawn("last words", async {});
        }
    }
    let exec = Executor::new();
    let inner = Rc::downgrade(&exec.inner);
    let own = SpawnsWhenDropped(exec.clone());
    exec.spawn("sleeper", async move {
        own.0.sleep(Duration::from_secs(1)).await;
    });
    exec.turn(at(0));
    exec.drop_tasks();
    assert!(exec.tasks().is_empty());
    drop(exec);
    assert!(inner.upgrade().is_none(), "nobody owns it any more");
}

#[test]
fn a_task_that_waits_for_the_next_turn_is_not_polled_twice_in_one() {
    let exec = Executor::new();
    let polls = Rc::new(RefCell::new(0));
    let (inner, count) = (exec.clone(), polls.clone());
    exec.spawn("looks", async move {
        core::future::poll_fn(|context| {
            *count.borrow_mut() += 1;
            if *count.borrow() == 3 {
                return Poll::Ready(());
            }
            inner.wake_next_turn(context.waker());
            Poll::Pending
        })
        .await;
    });
    assert!(exec.turn(at(0)), "there is more to do");
    assert_eq!((*polls.borrow(), exec.turns()), (1, 1));
    assert!(exec.turn(at(0)));
    assert!(!exec.turn(at(0)));
    assert_eq!(*polls.borrow(), 3);
}

#[test]
fn a_task_that_waits_for_the_next_turn_is_heard_when_the_last_poll_of_one_leaves_nothing_else() {
    let exec = Executor::new();
    let inner = exec.clone();
    exec.spawn("looks", async move {
        core::future::poll_fn(|context| {
            inner.wake_next_turn(context.waker());
            Poll::<()>::Pending
        })
        .await;
    });
    for _ in 1..POLLS_A_TURN {
        exec.spawn("once", async {});
    }
    assert!(exec.turn(at(0)), "there is more to do");
    assert_eq!(exec.polls(), POLLS_A_TURN as u64);
    assert_eq!(exec.tasks().len(), 1, "nobody else is left");
}
