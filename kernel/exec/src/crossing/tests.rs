use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use hv::Instant;

use super::*;

/// What belongs to a loop, and is not for other threads.
struct Local {
    name: &'static str,
    counted: Rc<core::cell::Cell<u64>>,
}

/// A loop in a thread of its own; it ends when `done` does.
fn turn_until<T: 'static>(exec: &Executor, done: impl Future<Output = T> + 'static) -> T {
    let (bell, rung) = mpsc::channel();
    exec.set_bell(move || {
        let _ended = bell.send(());
    });
    let value = Rc::new(core::cell::RefCell::new(None));
    let told = value.clone();
    exec.spawn("test", async move {
        let value = done.await;
        *told.borrow_mut() = Some(value);
    });
    loop {
        exec.woke();
        let more = exec.turn(Instant(0));
        if let Some(value) = value.borrow_mut().take() {
            return value;
        }
        if !more && exec.may_sleep() {
            rung.recv().expect("the bell is there");
        }
    }
}

#[test]
fn what_is_asked_for_is_done_on_the_other_side_and_comes_back() {
    const TIMES: u64 = 20_000;
    let mailbox = Mailbox::<Local>::default();
    let behind = mailbox.clone();
    let other = thread::spawn(move || {
        let exec = Executor::new();
        let counted = Rc::new(core::cell::Cell::new(0));
        let local = Local {
            name: "other",
            counted: counted.clone(),
        };
        exec.spawn("mailbox", behind.serve(exec.clone(), local));
        let enough = counted.clone();
        turn_until(
            &exec,
            poll_fn(move |context| {
                if enough.get() == TIMES {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            }),
        );
        counted.get()
    });
    let exec = Executor::new();
    let asking = async move {
        for time in 0..TIMES {
            let answer = mailbox.ask(move |local| {
                assert_eq!(local.name, "other");
                let counted = local.counted.clone();
                async move {
                    counted.set(counted.get() + 1);
                    time * 2
                }
            });
            assert_eq!(answer.await, Some(time * 2));
        }
    };
    turn_until(&exec, asking);
    assert_eq!(other.join().expect("it ends"), TIMES);
}

#[test]
fn a_loop_that_sleeps_is_rung_for_by_whoever_wakes_its_task() {
    const TIMES: usize = 5_000;
    let (here, there) = (Mailbox::<()>::default(), Mailbox::<()>::default());
    let ends = [(here.clone(), there.clone()), (there, here)];
    let loops = ends.map(|(own, other)| {
        thread::spawn(move || {
            let exec = Executor::new();
            exec.spawn("mailbox", own.serve(exec.clone(), ()));
            let answered = async move {
                for _ in 0..TIMES {
                    assert_eq!(other.ask(|()| async { 7 }).await, Some(7));
                }
                other
            };
            let other = turn_until(&exec, answered);
            // It serves the other one until that has ended too.
            let farewell = other.ask(|()| async {});
            exec.spawn("farewell", async move {
                let _ended = farewell.await;
            });
            for _ in 0..500 {
                exec.woke();
                let _more = exec.turn(Instant(0));
                thread::sleep(core::time::Duration::from_millis(1));
            }
        })
    });
    for one in loops {
        one.join().expect("it ends");
    }
}

#[test]
fn who_waits_no_more_ends_it_and_who_is_left_alone_hears_of_it() {
    let exec = Executor::new();
    let mailbox = Mailbox::<()>::default();
    exec.spawn("mailbox", mailbox.clone().serve(exec.clone(), ()));
    let left = mailbox.ask(|()| core::future::pending::<()>());
    let _more = exec.turn(Instant(0));
    assert_eq!(exec.tasks().len(), 2);
    drop(left);
    let _more = exec.turn(Instant(0));
    assert_eq!(exec.tasks().len(), 1, "only the mailbox is left");
    let mut never = mailbox.ask(|()| core::future::pending::<u8>());
    let _more = exec.turn(Instant(0));
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut never).poll(&mut context).is_pending());
    exec.drop_tasks();
    assert_eq!(Pin::new(&mut never).poll(&mut context), Poll::Ready(None));
}

#[test]
fn news_are_heard_by_another_loop_and_none_is_lost() {
    const TIMES: u64 = 20_000;
    let latest = Latest::new(0);
    let told = latest.clone();
    let teller = thread::spawn(move || {
        for _ in 0..TIMES {
            told.tell(|count| *count += 1);
        }
    });
    let exec = Executor::new();
    let heard = async move {
        let mut waits = 0;
        while latest.with(|count| *count) < TIMES {
            latest.told().await;
            waits += 1;
        }
        waits
    };
    assert!((1..=TIMES).contains(&turn_until(&exec, heard)));
    teller.join().expect("it ends");
}

#[test]
fn news_before_the_first_wait_count_and_only_once() {
    let latest = Latest::new(());
    let exec = Executor::new();
    latest.tell(|()| {});
    latest.tell(|()| {});
    let waited = latest.clone();
    let first = turn_until(&exec, async move {
        waited.told().await;
        waited
    });
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(first.poll_told(&mut context), Poll::Pending);
}
