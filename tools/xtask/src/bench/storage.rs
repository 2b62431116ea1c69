//! How it serves disks to dom0, beside Linux as a driver domain, in one nest.
//!
//! - [`plan`]: what is measured, in which order
//! - `contender`: who serves; [`linux`] makes one of dom0's kernel
//! - `job`: what fio does; [`load`] runs it and reads what it cost
//! - `server`: a domain and its exports
//! - `rounds`: A B A B; what was disturbed is repeated
//! - [`serve`], [`growth`], [`lifecycle`]: the parts
//! - [`vcpus`]: two vCPUs against one
//! - `row`, `goal`, `report`, `plot`: what comes out

mod contender;
mod goal;
mod growth;
mod job;
mod lifecycle;
mod linux;
mod load;
mod plan;
mod plot;
mod report;
mod rounds;
mod row;
mod serve;
mod server;
mod vcpus;

pub(super) use plan::command;
pub(crate) use plan::smoke;
