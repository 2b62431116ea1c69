//! Whether memory is wanted that is not free.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use spin::mutex::SpinMutex;

/// Whether the domain is to have less memory than it can do with: then whoever keeps pages for
/// later lets them go, but for those that it cannot work without, and makes no more. Clones say
/// the same, in any run loop.
#[derive(Clone, Default)]
pub struct Scarcity(Arc<Inner>);

#[derive(Default)]
struct Inner {
    scarce: AtomicBool,
    /// How often it became so.
    begun: AtomicUsize,
    /// Whom to wake when it does, in any run loop.
    waiting: SpinMutex<Vec<Waker>>,
}

impl Scarcity {
    /// Says so from now on, and wakes whoever watches if that is new.
    pub fn set(&self, scarce: bool) {
        let inner = &*self.0;
        let mut waiting = inner.waiting.lock();
        if !inner.scarce.swap(scarce, Ordering::Relaxed) && scarce {
            inner.begun.fetch_add(1, Ordering::Relaxed);
            let woken = core::mem::take(&mut *waiting);
            drop(waiting);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// What was said last.
    #[must_use]
    pub fn is(&self) -> bool {
        self.0.scarce.load(Ordering::Relaxed)
    }

    /// For who keeps pages, and may have nothing to do when they are wanted.
    #[must_use]
    pub fn watch(&self) -> ScarcityWatch {
        ScarcityWatch {
            scarcity: self.clone(),
            heard: 0,
            listed: None,
        }
    }
}

/// Hears of it when memory becomes scarce. For one waiting task.
pub struct ScarcityWatch {
    scarcity: Scarcity,
    /// How often it had become so when that was heard last.
    heard: usize,
    /// What stands in the list for it.
    listed: Option<Waker>,
}

impl ScarcityWatch {
    /// Waits until memory has become scarce since the last wait; the first time, since the start,
    /// so that nobody comes too late. It may be over by then.
    pub async fn began(&mut self) {
        poll_fn(|context| self.poll_began(context)).await;
    }

    fn poll_began(&mut self, context: &Context<'_>) -> Poll<()> {
        if !self.has_begun() {
            let own = context.waker();
            if self.listed.as_ref().is_some_and(|it| it.will_wake(own)) {
                return Poll::Pending;
            }
            self.strike();
            let mut waiting = self.scarcity.0.waiting.lock();
            // It begins with the lock held: whoever is listed before that is woken.
            if !self.has_begun() {
                waiting.push(own.clone());
                drop(waiting);
                self.listed = Some(own.clone());
                return Poll::Pending;
            }
        }
        self.listed = None;
        self.heard = self.scarcity.0.begun.load(Ordering::Relaxed);
        Poll::Ready(())
    }

    fn has_begun(&self) -> bool {
        self.scarcity.0.begun.load(Ordering::Relaxed) != self.heard
    }

    /// Takes it off the list.
    fn strike(&mut self) {
        if let Some(own) = self.listed.take() {
            let mut waiting = self.scarcity.0.waiting.lock();
            // Of a task that is there several times, any one is as good; but who was woken is off
            // the list already.
            if !self.has_begun()
                && let Some(at) = waiting.iter().position(|other| other.will_wake(&own))
            {
                waiting.swap_remove(at);
            }
        }
    }
}

impl Drop for ScarcityWatch {
    fn drop(&mut self) {
        self.strike();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::pin::pin;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use exec::Executor;
    use hv::Instant;

    /// Whether a wait with this waker is over.
    fn is_over(watch: &mut ScarcityWatch, waker: &Waker) -> bool {
        let mut wait = pin!(watch.began());
        wait.as_mut()
            .poll(&mut Context::from_waker(waker))
            .is_ready()
    }

    fn listed(scarcity: &Scarcity) -> usize {
        scarcity.0.waiting.lock().len()
    }

    #[test]
    fn each_beginning_is_heard_once_and_by_who_comes_late_too() {
        let scarcity = Scarcity::default();
        let (mut early, own) = (scarcity.watch(), Waker::noop());
        assert!(!is_over(&mut early, own));
        scarcity.set(false);
        assert!(!is_over(&mut early, own));
        scarcity.set(true);
        scarcity.set(true);
        assert!(scarcity.is());
        let mut late = scarcity.watch();
        for watch in [&mut early, &mut late] {
            assert!(is_over(watch, own));
            assert!(!is_over(watch, own));
        }
        scarcity.set(false);
        assert!(!is_over(&mut early, own));
        // Over before it was heard.
        scarcity.set(true);
        scarcity.set(false);
        assert!(is_over(&mut early, own) && is_over(&mut late, own));
    }

    #[test]
    fn who_waits_is_listed_once_and_who_does_not_is_not() {
        let scarcity = Scarcity::default();
        let mut watch = scarcity.watch();
        for _ in 0..3 {
            assert!(!is_over(&mut watch, Waker::noop()));
        }
        assert_eq!(listed(&scarcity), 1);
        // Another task waits with it from now on.
        let (rung, _) = mpsc::channel::<()>();
        let other = waker(rung);
        assert!(!is_over(&mut watch, &other));
        assert_eq!(listed(&scarcity), 1);
        drop(watch);
        assert_eq!(listed(&scarcity), 0);
        // Of two in one task, one goes that was woken and has not heard of it.
        let (mut gone, mut stays) = (scarcity.watch(), scarcity.watch());
        assert!(!is_over(&mut gone, &other) && !is_over(&mut stays, &other));
        assert_eq!(listed(&scarcity), 2);
        scarcity.set(true);
        assert!(is_over(&mut stays, &other) && !is_over(&mut stays, &other));
        drop(gone);
        assert_eq!(listed(&scarcity), 1);
    }

    fn waker(rung: mpsc::Sender<()>) -> Waker {
        struct Bell(mpsc::Sender<()>);
        impl std::task::Wake for Bell {
            fn wake(self: Arc<Self>) {
                let _gone = self.0.send(());
            }
        }
        Arc::new(Bell(rung)).into()
    }

    #[test]
    fn another_run_loop_that_sleeps_is_woken_each_time() {
        const TIMES: usize = 2000;
        let scarcity = Scarcity::default();
        let (heard, hears) = mpsc::channel();
        let theirs = scarcity.clone();
        let other = thread::spawn(move || {
            let (bell, rung) = mpsc::channel();
            let exec = Executor::new();
            exec.set_bell(move || {
                let _ended = bell.send(());
            });
            exec.spawn("keeps pages", async move {
                let mut watch = theirs.watch();
                for _ in 0..TIMES {
                    watch.began().await;
                    heard.send(()).expect("it is heard");
                }
            });
            while !exec.tasks().is_empty() {
                exec.woke();
                let more = exec.turn(Instant(0));
                if !exec.tasks().is_empty() && !more && exec.may_sleep() {
                    rung.recv().expect("the bell is there");
                }
            }
        });
        for _ in 0..TIMES {
            scarcity.set(true);
            let heard = hears.recv_timeout(Duration::from_secs(20));
            heard.expect("it is heard");
            scarcity.set(false);
        }
        other.join().expect("it ends");
    }
}
