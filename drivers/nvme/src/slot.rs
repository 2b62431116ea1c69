//! What a controller sits in: all that it needs of its bus, beside its registers.

use alloc::boxed::Box;
use alloc::string::String;
use core::future::Future;
use core::pin::Pin;

/// Something under way on the bus.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The bus did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// It is as it was.
    Refused,
    /// Nobody can be asked any more.
    Unreachable,
}

/// A controller's place on its bus. It is for one task.
pub trait Slot {
    /// Where that is, for people: `0000:00:00.0`.
    fn address(&self) -> String;

    /// Lets the device use memory, or takes that away: then it can change none any more, whatever
    /// it does. Takes a bounded time.
    fn set_master(&self, on: bool) -> Doing<'_, Result<(), NotDone>>;

    /// Whether the device can raise an interrupt.
    fn interrupts(&self) -> bool;

    /// Waits until the device, or one that it shares its interrupt with, may have raised one.
    fn interrupt(&self) -> Doing<'_, ()>;

    /// What the interrupt told of has been looked at: the next one may come. `useful` is whether
    /// there was anything.
    fn interrupt_done(&self, useful: bool);

    /// Waits until the device is to be given back, or is gone.
    fn gone(&self) -> Doing<'_, ()>;
}
