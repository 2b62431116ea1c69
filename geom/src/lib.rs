//! GEOM: class, geom, provider, consumer, bio, and disks that may leave.
//!
//! A driver hands a disk in ([`disk`]); GEOM makes a *provider* of it and asks every *class*
//! whether it finds something there ([`class`], [`media`]); what is found becomes a *geom* with a
//! *consumer* on that provider and providers of its own. Applications open providers by name
//! ([`Device`]). When a disk is lost, everything above it withers, and when nobody can reach the
//! driver any more, it is told: exactly once, whatever happened before.
//!
//! There is no clock, no thread, no log and no Xen in here. Everything moves in [`Geom::poll`],
//! which is given the time; nothing waits, and no call into a driver or a waker is made while the
//! graph is borrowed.
//!
//! | module | idea |
//! | --- | --- |
//! | `mesh` | [`Geom`], the handle; `poll` and the order of work |
//! | `graph` | all objects, and the queues between them |
//! | `node`, `provider`, [`id`], `table` | what the objects are, and how they are found |
//! | [`access`], `open`, `hold` | who may open what: the rules, and their way down the stack |
//! | `event` | events are marks on objects: no memory, no dangling |
//! | `orphan` | losing providers, spoiling, washing away; the teardown of a disk |
//! | `taste`, `slicing` | asking the classes, and making providers of their answer |
//! | `notice` | lines for an embedder's log |
//! | `resize`, `change` | a disk of another size; telling holders |
//! | [`bio`], [`request`], [`memory`] | a request, its pieces and its bytes |
//! | `inbox` | where completions wait, and the bell that asks for a poll |
//! | `completions` | where the requests of a holder with many of them end |
//! | [`disk`] | the disk interface: all that a driver sees |
//! | [`device`], `attribute` | all that an application sees |
//! | [`class`], [`media`] | classes, and what they see of a provider |
//! | `made`, `pages` | disks that are made on request, and what they keep data in |
//! | [`dump`], `inspect`, [`check`] | the graph as text, JSON and dot; the laws it must obey |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
mod attribute;
pub mod bio;
mod change;
pub mod check;
pub mod class;
mod completions;
pub mod device;
pub mod disk;
pub mod dump;
mod errno;
mod event;
mod graph;
mod hold;
pub mod id;
mod inbox;
mod inspect;
mod made;
pub mod media;
pub mod memory;
mod mesh;
#[cfg(test)]
mod model;
mod node;
mod notice;
mod open;
mod orphan;
mod pages;
mod params;
mod provider;
pub mod request;
mod resize;
mod slicing;
mod table;
mod taste;

pub use access::{Access, Counts, OpenError};
pub use completions::Completions;
pub use device::Device;
pub use errno::Errno;
pub use inspect::Counters;
pub use made::DestroyError;
pub use memory::{Buffer, Memory};
pub use mesh::Geom;
pub use node::{ConsumerInfo, GeomInfo};
pub use pages::PageSource;
pub use params::Params;
pub use provider::{ProviderInfo, Tasted};
pub use request::Order;
