//! The storage driver domain: dom0's Linux, and a Linux guest, use what Xenolith exports.
//!
//! - `attached`: a provider as a block device of dom0
//! - `verify`: what is written through an export comes back, and lies where it should
//! - `lifecycle`: exports that come and go, clients that die
//! - `ending`: providers that go, a driver domain that ends or dies
//! - `vcpus`: exports on two vCPUs
//! - `refusals`: what cannot be exported, and how the administrator learns why
//! - `many`: as many exports as there can be
//! - `hostile`: frontends that lie
//! - `filesystem`: ext4 on an export, with trees of files
//! - `client`: a Linux guest as the client
//! - `restart`: a driver domain that is started anew under its clients

pub(super) mod attached;
pub(super) mod client;
pub(super) mod ending;
pub(super) mod filesystem;
pub(super) mod hostile;
pub(super) mod lifecycle;
pub(super) mod many;
pub(super) mod refusals;
pub(super) mod restart;
pub(super) mod vcpus;
pub(super) mod verify;
