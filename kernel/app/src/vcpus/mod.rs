//! Several vCPUs: which there are, and what each of them has.
//!
//! - [`shard`]: [`Shard`](shard::Shard): a run loop with disks of its own, for a further vCPU
//! - `shards`: all of them, as the first vCPU's loop sees them
//! - [`turning`]: [`ShardCell`](turning::ShardCell): turning those that a vCPU has
//! - `hotplug`: which vCPUs run, as the administrator wants it

pub(crate) mod hotplug;
pub mod shard;
pub(crate) mod shards;
pub mod turning;
