//! The domain at one moment, as plain values: what everything that is shown is made from.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use blkback::ExportUse;
use exec::{Line, TaskUse};
use geom::disk::DiskInfo;
use geom::{Counters, GeomInfo, ProviderInfo};
use hv::{DomId, Instant, MemoryUse, ShutdownReason};
use net::{Connections, InterfaceStatus, SocketStatus};
use pv::{GrantUse, PortUse};
use shell::output::Output;

use crate::devices::Devices;
use crate::history::Rates;

/// What ends a command line: nothing, or a wish that the domain should.
pub type Running = Pin<Box<dyn Future<Output = Option<ShutdownReason>>>>;

/// What only the domain's own parts can say and do. Behind it, nothing of the page knows what the
/// domain runs on, so that the image has all of it once.
pub trait Inside {
    /// How it is now.
    fn facts(&self) -> Facts;

    /// Bytes of memory that answers can still have.
    fn heap_room(&self) -> usize;

    /// How many exports there are.
    fn exports(&self) -> usize;

    /// Runs the commands of a line, as the shell does.
    fn run(self: Rc<Self>, line: String, out: Output) -> Running;

    /// Ends the domain.
    fn end(self: Rc<Self>, reason: ShutdownReason) -> Pin<Box<dyn Future<Output = ()>>>;
}

/// How the domain's own parts are.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The time.
    pub now: Instant,
    /// The time of day, since 1970.
    pub wall: Duration,
    /// Memory.
    pub memory: MemoryUse,
    /// Grants.
    pub grants: GrantUse,
    /// Event channels.
    pub ports: Vec<PortUse>,
    /// What is served to others.
    pub exports: Vec<ExportUse>,
}

/// The domain at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name; empty if the store does not say.
    pub name: String,
    /// Its number.
    pub domain: Option<DomId>,
    /// How its own parts are.
    pub facts: Facts,
    /// Its tasks.
    pub tasks: Vec<TaskUse>,
    /// How often a task was polled.
    pub polls: u64,
    /// GEOM's geoms.
    pub geoms: Vec<GeomInfo>,
    /// GEOM's providers.
    pub providers: Vec<ProviderInfo>,
    /// GEOM's disks.
    pub disks: Vec<DiskInfo>,
    /// How many there are and were.
    pub counters: Counters,
    /// Network interfaces.
    pub interfaces: Vec<InterfaceStatus>,
    /// Its connections in all.
    pub connections: Connections,
    /// Its sockets.
    pub sockets: Vec<SocketStatus>,
    /// Devices in xenstore.
    pub devices: Devices,
    /// What is done in a second.
    pub rates: Rates,
    /// The last lines of the log.
    pub log: Vec<Rc<Line>>,
    /// Whether commands may be sent.
    pub takes_commands: bool,
}
