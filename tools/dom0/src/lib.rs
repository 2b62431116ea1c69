//! Programs that run in the lab's dom0, and what they share with the host.
//!
//! * [`wire`]: the frames that the lab and the agent exchange over a virtio-serial port.
//! * [`agent`]: runs the commands, moves the files and follows the console logs the lab asks for;
//!   `bin/agent` is its program.
#![forbid(unsafe_code)]

pub mod agent;
pub mod wire;
