//! What takes a function.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;

use hv::Hypervisor;

use crate::{Function, Id};

/// A driver at work on one function.
pub type Running = Pin<Box<dyn Future<Output = ()>>>;

/// What takes functions of some kind.
pub trait FunctionDriver<H: Hypervisor> {
    /// What it is called: `nvme`.
    fn name(&self) -> &'static str;

    /// Whether it takes such a function.
    fn takes(&self, id: &Id) -> bool;

    /// Drives the function until that is [gone](Function::gone) or of no use to it. When the
    /// function is to leave, the driver has 5 s to end; it has to stop the device before it lets go
    /// of memory that the device may write ([`Function::keep_from_memory`]). After that the device
    /// is kept from memory and interrupts, as far as the backend lets itself be asked for it, and
    /// what comes to its place is none of this driver's.
    fn start(&self, function: Function<H>) -> Running;
}
