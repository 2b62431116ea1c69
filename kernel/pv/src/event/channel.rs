//! One open port, and waiting for its events.

use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use alloc::rc::Rc;

use hv::{Hypervisor, Instant, Port};

use super::{Events, FORGIVEN, LONGEST_BACKOFF, State};

/// An open port. Dropping it closes the port.
///
/// In the domain's next life it is dead, unless its other end is there in each: then nothing is
/// raised at the other end, and nothing comes of waiting.
///
/// It is for one waiting task: of two that wait at once, only the later one is woken.
pub struct Channel<H: Hypervisor> {
    pub(super) events: Events<H>,
    pub(super) state: Rc<State<H>>,
}

impl<H: Hypervisor> Channel<H> {
    /// The port's number, as a frontend publishes it.
    #[must_use]
    pub fn port(&self) -> Port {
        self.state.port.get()
    }

    /// Raises an event at the other end. An error means that the other end is gone; a peer's death
    /// is learned from xenstore, so it is not reported here.
    pub fn notify(&self) {
        if !self.state.dead.get() {
            let _peer_gone = self.events.inner.hv.evtchn_send(self.port());
        }
    }

    /// Whether the other end is there and open. Xen tells nobody when that changes.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.state.dead.get()
            && self.events.inner.hv.evtchn_is_interdomain(self.port()) == Ok(true)
    }

    /// Waits for an event that came since the last wait ended. Events may be lost neither before
    /// nor during a wait; several of them may count as one, and one may come without a cause.
    pub async fn wait(&self) {
        if let Some(quiet_until) = self.quiet_until() {
            self.events.inner.exec.sleep_until(quiet_until).await;
        }
        poll_fn(|context| self.poll_wait(context)).await;
    }

    /// Until when events are not to be looked at, because too many [brought no
    /// work](Self::was_spurious); `None` if they are.
    #[must_use]
    pub fn quiet_until(&self) -> Option<Instant> {
        let quiet_until = self.state.quiet_until.get();
        (quiet_until > self.events.inner.exec.now()).then_some(quiet_until)
    }

    /// [`wait`](Self::wait) for a future written by hand, which has looked at
    /// [`quiet_until`](Self::quiet_until).
    pub fn poll_wait(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.state.fired.replace(false) {
            return Poll::Ready(());
        }
        *self.state.waiter.borrow_mut() = Some(context.waker().clone());
        if self.state.dead.get() {
            return Poll::Pending;
        }
        if self.events.unmask_and_take(self.port().0 as usize) {
            self.state.count.set(self.state.count.get() + 1);
            self.state.waiter.borrow_mut().take();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Says that the last event brought no work. A peer that goes on like this has to wait longer
    /// and longer, up to 16 ms, before its next event is looked at.
    pub fn was_spurious(&self) {
        let state = &self.state;
        state.spurious.set(state.spurious.get() + 1);
        let row = state.spurious_in_a_row.get().saturating_add(1);
        state.spurious_in_a_row.set(row);
        if let Some(excess) = row.checked_sub(FORGIVEN) {
            let wait = Duration::from_micros(100 << excess.min(8)).min(LONGEST_BACKOFF);
            state
                .quiet_until
                .set(self.events.inner.exec.now().after(wait));
        }
    }

    /// Says that the last event brought work.
    pub fn was_useful(&self) {
        self.state.spurious_in_a_row.set(0);
    }
}

impl<H: Hypervisor> Drop for Channel<H> {
    fn drop(&mut self) {
        self.events.close(&self.state);
    }
}
