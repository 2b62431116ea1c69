//! How it moves packets, beside a Linux guest of the same vCPU and memory, in one nest; dom0 is the
//! other end for both.
//!
//! - [`plan`]: what is measured, in which order
//! - `contender`: who is measured: a program of ours, or of Linux's sockets, that does the same
//! - `cost`: a command in dom0, and what it cost
//! - `job`: what is done, and what is asked of it
//! - `paced`: the most datagrams a second that get through
//! - `report`: what comes out

mod contender;
mod cost;
mod job;
mod paced;
mod plan;
mod report;

pub(super) use plan::command;
