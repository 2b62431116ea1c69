//! Waiting for one of two things.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

/// Ends when one of the two, or both, have ended; says which. The other one is dropped.
pub(crate) async fn either(one: impl Future, other: impl Future) -> (bool, bool) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| {
        let one = one.as_mut().poll(context).is_ready();
        let other = other.as_mut().poll(context).is_ready();
        if one || other {
            Poll::Ready((one, other))
        } else {
            Poll::Pending
        }
    })
    .await
}
