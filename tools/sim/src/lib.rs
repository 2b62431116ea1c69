//! A simulated Xen, and its honest and hostile peers.
//!
//! One thread, virtual time, one seed: the shipped drivers run here unchanged, because everything
//! they ask of Xen goes through [`hv::Hypervisor`], which [`Dom`] implements. Peers speak the real
//! bytes of the real protocols. A failing run is replayed from its seed.
//!
//! The simulator states Xen's ABI on its own ([`layout`]) and does not take it from `xen-abi`, so
//! that a wrong number there is not wrong at both ends.
//!
//! Xen:
//! - [`world`]: [`World`], which owns it all, and [`Xen`], the handle everyone else holds
//! - [`schedule`]: who runs next and when; [`Actor`]
//! - [`domain`]: what Xen knows of one domain
//! - [`dom`]: [`Dom`], one domain's view: the hypervisor that drivers run on
//! - [`frame`]: pages of memory, and who holds them
//! - [`events`]: event channels, on the bits in shared_info
//! - [`pirq`], [`registers`]: devices' interrupts, their registers, what they do in memory
//! - [`lent`]: pages in a row that only their domain writes
//! - [`grants`]: grant tables, on the bytes of their entries
//! - `reservation`, `suspend`: how much memory a domain has, and its next life
//! - [`fault`], [`rng`]: hypercalls that fail by plan, and the one source of chance
//! - [`layout`]: offsets and numbers of the ABI
//!
//! Peers:
//! - [`xenstored`]: xenstore, over its real wire protocol
//! - [`toolstack`]: makes and removes domains and devices, as libxl does
//! - [`consoled`]: the console daemon
//! - `backend`: the states of xenbus, as every backend goes through them
//! - [`blkback`]: a block backend, honest or hostile
//! - [`frontend`]: a block frontend driven by hand
//! - [`netback`]: a network backend, honest or hostile
//! - [`pciback`], [`nvme`]: a PCI backend, and an NVMe controller, each honest or hostile
//! - [`switch`]: what several of those, and a test, are plugged into
//! - [`dhcpd`]: a DHCP server there
//! - [`frames`]: Ethernet frames as tests write them
//! - [`netpeer`]: a network frontend driven by hand
//!
//! Guests:
//! - [`guest`]: a domain that runs the shipped code, with parts that a test can reach
//! - [`machine`]: a domain composed as the image is, with its console
//! - [`life`]: one random life from its seed
//! - [`storage`]: such a domain with toolstack and disks: what tests start from
//! - [`station`]: what a test has in the place of a stack: it sends and takes raw frames
//! - [`network`]: a domain with vifs, a switch and such a station: what tests start from
//! - [`lan`]: several guests with the shipped network stack, on one switch
//! - [`driver_domain`]: a domain that serves devices, and its toolstack
//! - [`scene`]: a good disk beside one whose backend lies
//! - [`ramdisk`]: a disk in a guest's memory
//! - [`exports`]: a driver domain with such a disk: what tests of its backend start from
//! - [`neighbours`]: a good client beside one that is up to something
#![forbid(unsafe_code)]

mod backend;
pub mod blkback;
pub mod consoled;
pub mod dhcpd;
pub mod dom;
pub mod domain;
pub mod driver_domain;
pub mod events;
pub mod exports;
pub mod fault;
pub mod frame;
pub mod frames;
pub mod frontend;
pub mod grants;
pub mod guest;
pub mod lan;
pub mod layout;
pub mod lent;
pub mod life;
pub mod machine;
pub mod neighbours;
pub mod netback;
pub mod netpeer;
pub mod network;
pub mod nvme;
pub mod pciback;
pub mod pirq;
pub mod ramdisk;
pub mod registers;
mod reservation;
pub mod rng;
pub mod scene;
pub mod schedule;
pub mod station;
pub mod storage;
mod suspend;
pub mod switch;
pub mod toolstack;
pub mod world;
pub mod xenstored;

pub use blkback::{Blkback, BlkbackConfig, Disk, Malice, Served, Tamper};
pub use consoled::Consoled;
pub use dhcpd::Dhcpd;
pub use dom::Dom;
pub use domain::{DomainConfig, Ended, Usage};
pub use driver_domain::DriverDomain;
pub use exports::Exports;
pub use fault::{Call, Fault, When};
pub use frame::{Frame, Memory};
pub use frontend::Frontend;
pub use guest::Guest;
pub use lan::Lan;
pub use machine::Machine;
pub use neighbours::Neighbours;
pub use netback::{Netback, NetbackConfig, Packet};
pub use netpeer::NetPeer;
pub use network::Network;
pub use pciback::{PciConfig, PciDevice, Pciback};
pub use ramdisk::{RamConfig, RamDisk, Speed};
pub use rng::Rng;
pub use schedule::{Actor, ActorId, Next, Stop};
pub use station::Station;
pub use storage::Storage;
pub use switch::{Host, Switch, SwitchConfig};
pub use toolstack::{Detach, DetachError, Pci, Toolstack, Vbd, Vif, VifConfig};
pub use world::{World, Xen};
pub use xenstored::Xenstored;
