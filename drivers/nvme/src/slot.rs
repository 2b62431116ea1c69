//! What a controller sits in: all that it needs of its bus, beside its registers.

use alloc::boxed::Box;
use alloc::string::String;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

/// Something under way on the bus.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The bus did not do it; it has said why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDone;

/// A controller's place on its bus. It is for one task.
pub trait Slot {
    /// Where that is, for people: `0000:00:00.0`.
    fn address(&self) -> String;

    /// Lets the device use memory, or takes that away: then it can change none any more, whatever
    /// it does. Takes a bounded time.
    fn set_master(&self, on: bool) -> Doing<'_, Result<(), NotDone>>;

    /// Whether the device can raise an interrupt.
    fn interrupts(&self) -> bool;

    /// Ready when the device, or one that it shares its interrupt with, may have raised one.
    fn poll_interrupt(&self, context: &mut Context<'_>) -> Poll<()>;

    /// What the interrupt told of has been looked at: the next one may come. `useful` is whether
    /// there was anything.
    fn interrupt_done(&self, useful: bool);

    /// Ready from when on the device is to be given back, or is gone already.
    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()>;
}

impl dyn Slot {
    /// Waits for an interrupt.
    pub(crate) async fn interrupt(&self) {
        poll_fn(|context| self.poll_interrupt(context)).await;
    }

    /// Waits until the device is to be given back, or is gone.
    pub(crate) async fn gone(&self) {
        poll_fn(|context| self.poll_gone(context)).await;
    }
}
