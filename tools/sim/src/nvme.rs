//! An NVMe controller: its registers, its queues in the domain's memory, its disk.
//!
//! It states NVM Express 1.4 on its own and does not take it from the driver.

mod admin;
mod bay;
mod config;
mod data;
mod device;
mod medium;
mod plug;
mod queue;
mod wire;

pub use bay::Bay;
pub use config::{Malice, Namespace, NvmeConfig};
pub use device::{Counted, NvmeDevice};
pub use plug::Plug;
