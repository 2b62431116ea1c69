//! Programs that run in the lab's dom0, and what they share with the host.
//!
//! * [`wire`]: the frames that the lab and the agent exchange over a virtio-serial port.
//! * [`agent`]: runs the commands, moves the files and follows the console logs the lab asks for;
//!   `bin/agent` is its program.
//! * [`backend`]: a block backend, honest or not, for what Linux's own would never do;
//!   `bin/backend` is its program.
//! * [`frontend`]: a block frontend, honest or not, for what Linux's own would never do;
//!   `bin/frontend` is its program.
//! * [`streams`]: TCP streams and paced UDP, to measure a guest's network by; `bin/streams` is its
//!   program, which also serves in a Linux guest.
//! * `xen`: event channels, grants and xenstore, from Linux. Its `ioctl` and `mapping` are the only
//!   unsafe code here.

pub mod agent;
pub mod backend;
pub mod frontend;
pub mod streams;
pub mod wire;
mod xen;
