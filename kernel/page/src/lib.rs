//! The status page: what a domain shows of itself over HTTP.
//!
//! Everything is read-only but `POST /run`, which takes a shell's line from whoever has the
//! domain's token. The domain is looked at once for each answer, into plain values, and all that is
//! shown is made from those. Names on it come from disks and from other domains: none is markup.
//!
//! | path | what it is |
//! | --- | --- |
//! | `/` | the page; with JavaScript it changes in place, without it loads again |
//! | `/live` | the part of it that changes |
//! | `/status.json` | the same for programs |
//! | `/metrics` | the same for Prometheus |
//! | `/geom.json`, `/geom.dot`, `/geom.svg` | GEOM's graph |
//! | `/log` | the log, as far as it is kept |
//! | `/capture.pcap?seconds=N` | packets of the next N seconds but the page's; needs the token |
//! | `POST /run` | runs the line in the body; `Authorization: Bearer TOKEN` |
//!
//! The domain:
//! - [`snapshot`]: [`Snapshot`](snapshot::Snapshot), and [`Inside`](snapshot::Inside), behind which
//!   the rest does not know what it runs on
//! - [`domain`]: the domain behind that
//! - `collect`: how a snapshot is made
//! - [`devices`]: what xenstore says of devices
//! - [`history`]: what is done in a second
//! - [`health`]: what an administrator should look at
//!
//! How it is shown:
//! - [`text`]: escaping, quantities
//! - [`picture`]: the graph and small curves, as SVG
//! - [`html`], [`json`], [`metrics`]: for people, programs, Prometheus
//!
//! Who is served:
//! - [`serve`](mod@serve): accepts clients
//! - [`routes`]: which answer a path has
//! - [`command`]: what a line of commands prints
//! - [`capture`]: packets as a file
//! - [`admission`]: how many clients at once
//! - [`token`]: who may send commands
//! - `turn`: what one client at a time may do
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod admission;
pub mod capture;
mod collect;
pub mod command;
pub mod devices;
pub mod domain;
#[cfg(test)]
mod example;
pub mod health;
pub mod history;
pub mod html;
pub mod json;
pub mod metrics;
pub mod picture;
pub mod routes;
pub mod serve;
pub mod snapshot;
pub mod text;
pub mod token;
mod turn;

pub use serve::serve;
